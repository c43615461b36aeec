import { EtcdBackend } from '#src/etcd/backend.js'
import { SandboxStore } from '#src/store.js'

/** A store on etcd whose owners have a lease of some seconds instead of ten. */
export function openWithLease(root: string, lease: number, lockTimeout = 10_000): SandboxStore {
  return new SandboxStore(new EtcdBackend(root, undefined, { lockTimeout, history: true, lease }))
}
