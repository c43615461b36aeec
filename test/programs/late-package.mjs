// Uses a copy of the library of which a package is away for a moment, as during an upgrade:
// late-package.mjs LIBRARY PACKAGE ROOT before|after
// `before`: away when the library is imported; `after`: then only. Reports what importing gave, and two changes.
import { renameSync } from 'node:fs'

const [library, folder, root, when] = process.argv.slice(2)
const outcome = call =>
  call.then(
    () => 'ok',
    error => ({ name: error.name, code: error.code }),
  )

if (when === 'before') renameSync(folder, `${folder}-away`)
let imported
try {
  imported = await import(library)
} catch (error) {
  process.send({ imported: error.code }, () => process.disconnect())
}
if (imported !== undefined) {
  const store = await imported.openStore(root)
  if (when === 'after') renameSync(folder, `${folder}-away`)
  const first = await outcome(store.create('a'))
  renameSync(`${folder}-away`, folder)
  const next = await outcome(store.create('b'))
  const closed = await outcome(store.close())
  process.send({ imported: 'ok', first, next, closed }, () => process.disconnect())
}
