export type {
  HeldLock,
  HistoryEntry,
  ListEntry,
  LockHolder,
  Owner,
  Ownership,
  OwnOptions,
  StateOrError,
  StoredSandbox,
} from './backend.js'
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
export { type CopyOptions, type CopyProgress, type CopyResult, type CopySource, copyStore } from './copy.js'
export type { DataSchema, FieldsOf, SchemaIssue, SchemaResult, StateOf } from './data-schema.js'
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
export type { Labels } from './state/labels.js'
export {
  checkTransition,
  isValidState,
  type NextState,
  STATES,
  type StateString,
  TRANSITIONS,
} from './state/machine.js'
export type { SandboxFields, SandboxState } from './state/sandbox-state.js'
export { openStore, SandboxStore } from './store.js'
export type {
  ChangeOptions,
  CreateArguments,
  CreateOptions,
  DeleteOptions,
  Inspection,
  ListOptions,
  LocksOptions,
  Orphan,
  PruneOptions,
  Reaped,
  ReapOptions,
  StoreOptions,
  WaitOptions,
  WatchOptions,
} from './store-types.js'
export type { StateEvent } from './watch.js'
