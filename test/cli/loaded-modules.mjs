// Preloaded with `node --import`: at the end of the process it prints to stderr what was loaded, one URL or path a line.
import { createRequire, register } from 'node:module'

const hooks = `
import { writeSync } from 'node:fs'
export function load(url, context, next) {
  writeSync(2, url + '\\n')
  return next(url, context)
}`

register(`data:text/javascript,${encodeURIComponent(hooks)}`)

const { cache } = createRequire(import.meta.url)
process.on('exit', () => {
  for (const path of Object.keys(cache)) console.error(path)
})
