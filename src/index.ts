export type { HeldLock, HistoryEntry, ListEntry, LockHolder } from './backend.js'
export type { ChangeKind, Update } from './change.js'
export {
  type CheckOptions,
  FINDING_CODES,
  type Finding,
  type FindingCode,
  type Repair,
  type RepairAction,
  type RepairOptions,
} from './check.js'
export { type CopyOptions, type CopyProgress, type CopyResult, copyStore } from './copy.js'
export { CHANGE_CHANNEL, type ChangeTrace, type LockWait } from './diagnostics.js'
export { ERROR_CODES, type ErrorCode, type ErrorDetails, StateStoreError } from './errors.js'
export type { EtcdOptions } from './etcd/options.js'
export { decodeState, encodeState } from './state/codec.js'
export {
  formatSockets,
  formatVolumes,
  parseSockets,
  parseVolumes,
  type Socket,
  type Volume,
} from './state/colon-lists.js'
export {
  checkTransition,
  isValidState,
  type NextState,
  STATES,
  type StateString,
  TRANSITIONS,
} from './state/machine.js'
export type { SandboxFields, SandboxState } from './state/sandbox-state.js'
export {
  type DeleteOptions,
  type ListOptions,
  type LocksOptions,
  openStore,
  SandboxStore,
  type StoreOptions,
  type WaitOptions,
  type WatchOptions,
} from './store.js'
export type { StateEvent } from './watch.js'
