/** In the order of the tables. */
const NAMES = ['floor', 'locked', 'naive', 'ours', 'sqlite', 'lmdb']
/** These may be missing. */
const DATABASES = ['sqlite', 'lmdb']

/**
 * The contenders that can run here, by name, and why the others cannot. Each module exports `about`, `version()` and
 * `open(root)`, which returns an object with create, transition, increment, read, delete and close, synchronous or not.
 */
export async function loadContenders() {
  const contenders = {}
  const missing = []
  for (const name of NAMES) {
    try {
      contenders[name] = await loadContender(name)
    } catch (error) {
      if (!DATABASES.includes(name)) throw error
      const reason = error.message.split('\n')[0]
      missing.push(`${name} is left out: ${reason} (npm --prefix bench/alternatives install)`)
    }
  }
  return { contenders, missing }
}

export function loadContender(name) {
  return import(`./contenders/${name}.mjs`)
}

/** Opens some contenders, each in its own folder with running sandboxes, and closes them at the end. */
export async function withContenders({ contenders, folder }, names, ids, use) {
  const opened = {}
  try {
    for (const name of names.filter(name => contenders[name] !== undefined)) {
      opened[name] = await contenders[name].open(folder(name))
      await makeRunning(opened[name], ids)
    }
    return await use(opened)
  } finally {
    for (const each of Object.values(opened)) await each.close()
  }
}

export async function makeRunning(opened, ids) {
  for (const id of ids) {
    await opened.create(id)
    await opened.transition(id, 'ready', 'running')
  }
}

/** Transitions of a running sandbox: to paused, back to running, and so on. */
export function backAndForth({ transition }, id) {
  let [from, to] = ['running', 'paused']
  return () => {
    const done = transition(id, from, to)
    ;[from, to] = [to, from]
    return done
  }
}
