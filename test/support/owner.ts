import type { Ownership, SandboxStore } from 'sandbox-state'
import { onTestFinished } from 'vitest'

/** Owns a sandbox until the test ends, at the latest. */
export async function own(store: SandboxStore, id = 'a'): Promise<Ownership> {
  const owner = await store.own(id)
  onTestFinished(() => owner.release())
  return owner
}

/** Whether a sandbox is `unowned`, `owned` or `orphaned`. */
export async function ownershipOf(store: SandboxStore, id = 'a'): Promise<string> {
  return (await store.inspect(id)).owner?.state ?? 'unowned'
}
