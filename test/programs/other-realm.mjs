// Runs the built library as Jest and vitest's vmThreads do, in a context of node:vm whose globals are its own, while Node's
// modules stay Node's. Sends its parent what came of each call: node --experimental-vm-modules other-realm.mjs ROOT
import { readFileSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import vm from 'node:vm'

const [root] = process.argv.slice(2)
const entry = new URL('../../dist/index.js', import.meta.url)
const {
  AbortController,
  Buffer,
  URL: Url,
  performance,
  queueMicrotask,
  setTimeout,
  clearTimeout,
} = globalThis
const fromNode = { AbortController, Buffer, URL: Url, performance, queueMicrotask, setTimeout, clearTimeout }
const context = vm.createContext({ ...fromNode, process })
const modules = new Map()

/** The module that a specifier stands for, once for each. */
function load(specifier, importer) {
  const isFile = specifier.startsWith('.')
  const name = isFile ? new URL(specifier, importer.identifier).href : specifier
  if (!modules.has(name)) modules.set(name, isFile ? moduleOfFile(name) : moduleOfPackage(name))
  return modules.get(name)
}

function moduleOfFile(identifier) {
  return new vm.SourceTextModule(readFileSync(new URL(identifier), 'utf8'), {
    identifier,
    context,
    initializeImportMeta: meta => Object.assign(meta, { url: identifier }),
  })
}

async function moduleOfPackage(name) {
  const exports = isBuiltin(name) ? await import(name) : createRequire(entry)(name)
  const values = { default: exports, ...exports }
  function evaluate() {
    for (const [key, value] of Object.entries(values)) this.setExport(key, value)
  }
  return new vm.SyntheticModule(Object.keys(values), evaluate, { context })
}

const library = moduleOfFile(entry.href)
await library.link(load)
await library.evaluate()
const { openStore, decodeState } = library.namespace

async function outcome(call) {
  try {
    return (await call()) ?? 'nothing'
  } catch (error) {
    return error.code ?? String(error)
  }
}
const store = await openStore(root)
const missing = await openStore(`${root}/missing`)
const increment = state => ({ ...state, blockIndex: state.blockIndex + 1 })
process.send({
  read: await outcome(() => store.read('a')),
  create: await outcome(async () => (await store.create('a')).state),
  again: await outcome(() => store.create('a')),
  atOnce: await Promise.all(
    ['a', 'a', 'b'].map(id => outcome(async () => (await store.update(id, increment)).state)),
  ),
  list: await outcome(async () => (await store.list().next()).value.id),
  noRoot: await outcome(async () => (await missing.list().next()).value),
  bytes: await outcome(() => decodeState(globalThis.Buffer.from('{"state":"ready"}')).state),
  close: await outcome(() => store.close()),
})
process.disconnect()
