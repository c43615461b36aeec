/** In the order in which tables show them. */
export const NAMES = ['floor', 'locked', 'naive', 'ours', 'sqlite', 'lmdb']
/** Those that may not be installed. */
const DATABASES = ['sqlite', 'lmdb']

/**
 * Those of the wanted contenders that can run here, by name, and why the others cannot. Each module has `about`,
 * `version()` and `open(root)`, which gives an object with create, transition, increment, read, delete and close,
 * synchronous or not.
 */
export async function loadContenders(wanted) {
  const contenders = {}
  const skipped = []
  for (const name of NAMES.filter(name => wanted.includes(name))) {
    try {
      contenders[name] = await loadContender(name)
    } catch (error) {
      if (!DATABASES.includes(name)) throw error
      const reason = String(error.message).split('\n')[0]
      skipped.push(`${name} is left out: ${reason} (npm --prefix bench/alternatives install)`)
    }
  }
  return { contenders, skipped }
}

export function loadContender(name) {
  return import(`./contenders/${name}.mjs`)
}

/** Transitions of a running sandbox: to paused, to running again, and so on. */
export function backAndForth({ transition }, id) {
  let [from, to] = ['running', 'paused']
  return () => {
    const done = transition(id, from, to)
    ;[from, to] = [to, from]
    return done
  }
}
