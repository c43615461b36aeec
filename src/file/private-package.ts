import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compileFunction } from 'node:vm'

/**
 * Loads a private copy of a CommonJS package, with replacements for some of the modules that it requires. So it can work on
 * an `fs` of ours, and nothing in the program is patched for it.
 *
 * @param name the name for `require`
 * @param instead the replacements, by the names under which the package requires them
 */
export function loadPrivately(name: string, instead: Readonly<Record<string, unknown>>): unknown {
  return load(createRequire(import.meta.url).resolve(name), instead)
}

function load(file: string, instead: Readonly<Record<string, unknown>>): unknown {
  const require = createRequire(file)
  const module = { exports: {} as unknown }
  const run = compileFunction(readFileSync(file, 'utf8'), ['module', 'exports', 'require', '__filename'], {
    filename: file,
  })
  const requirePrivately = (name: string): unknown => {
    if (Object.hasOwn(instead, name)) return instead[name]
    return name.startsWith('.') ? load(require.resolve(name), instead) : require(name)
  }
  run(module, module.exports, requirePrivately, file)
  return module.exports
}
