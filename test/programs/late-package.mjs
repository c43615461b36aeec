// Uses a copy of the library of which a package is away for a moment, as during an upgrade:
// late-package.mjs LIBRARY PACKAGE ROOT before|after
// `before`: away when the library is imported; `after`: then only. Reports what importing gave, and two changes.
import { renameSync } from 'node:fs'
import { inShort } from './changes.mjs'

const [library, folder, root, when] = process.argv.slice(2)

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
  const first = await inShort(store.create('a'))
  renameSync(`${folder}-away`, folder)
  const next = await inShort(store.create('b'))
  const closed = await inShort(store.close())
  process.send({ imported: 'ok', first, next, closed }, () => process.disconnect())
}
