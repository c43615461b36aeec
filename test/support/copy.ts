import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from './root.js'

const project = fileURLToPath(new URL('../../', import.meta.url))

/**
 * A copy of the built library, with links to the packages that it needs, for a test to take something away from it.
 * @param packages the folder for those links
 */
export function copyLibrary(
  folder = temporaryFolder(),
  packages = join(folder, 'node_modules'),
): { readonly index: string; readonly packages: string } {
  cpSync(join(project, 'dist'), join(folder, 'dist'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"name":"sandbox-state","version":"0.0.0","type":"module"}')
  mkdirSync(packages, { recursive: true })
  for (const name of readdirSync(join(project, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(project, 'node_modules', name), join(packages, name))
  }
  return { index: join(folder, 'dist', 'index.js'), packages }
}
