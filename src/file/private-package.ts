import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compileFunction } from 'node:vm'

/**
 * Loads a module of a CommonJS package once more, for this package alone, with other modules in place of some that it
 * requires. So a package works on the `fs` that it is given, and nothing of the program's is patched for it.
 *
 * @param name what `require` would be given
 * @param instead the replacements, by the names that the package requires them by
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
