import { openStore, type SandboxStore, type StoreOptions } from 'sandbox-state'
import { onTestFinished } from 'vitest'

/** Opens a store that is closed when the test ends. */
export async function openTestStore<Data = unknown, Input = Data>(
  root: string,
  options: StoreOptions<Data, Input> = {},
): Promise<SandboxStore<Data, Input>> {
  const store = await openStore(root, options)
  onTestFinished(() => store.close())
  return store
}
