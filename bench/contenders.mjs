/** In the order in which tables show them. */
export const NAMES = ['floor', 'locked', 'naive', 'ours', 'sqlite', 'lmdb']

/**
 * The contenders that can run here, by name, and why the others cannot. Each module has `about`, `version()` and
 * `open(root)`, which gives an object with create, transition, increment, read, delete and close, synchronous or not.
 */
export async function loadContenders() {
  const contenders = {}
  const skipped = []
  for (const name of NAMES) {
    try {
      contenders[name] = await loadContender(name)
    } catch (error) {
      const reason = String(error.message).split('\n')[0]
      skipped.push(`${name} is left out: ${reason} (npm --prefix bench/alternatives install)`)
    }
  }
  return { contenders, skipped }
}

export function loadContender(name) {
  return import(`./contenders/${name}.mjs`)
}
