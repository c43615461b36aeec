// Makes docs/api.md of the comments in src; with --check, only says whether it is as it would be made.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { signatureOf } from './signature.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const target = join(here, '..', 'api.md')
const typedoc = join(here, 'node_modules', 'typedoc', 'bin', 'typedoc')

const folder = mkdtempSync(join(tmpdir(), 'sandbox-state-api-'))
try {
  execFileSync(
    process.execPath,
    [typedoc, '--options', 'typedoc.json', '--logLevel', 'Warn', '--out', folder],
    {
      cwd: here,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  const signature = signatureOf(join(here, '..', '..', 'dist', 'index.d.ts'))
  const mark = `<!-- made by npm run docs:api, of ${signature} -->\n\n`
  const made = mark + readFileSync(join(folder, 'api.md'), 'utf8')
  if (!process.argv.includes('--check')) writeFileSync(target, made)
  else if (readFileSync(target, 'utf8') !== made) {
    console.error('docs/api.md is not what the comments in src make of it: npm run docs:api')
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true })
}
