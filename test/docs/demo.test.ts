import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const file = (name: string) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url))

// Signals and /proc: a recording made elsewhere would say less.
test.runIf(process.platform === 'linux')(
  'docs/demo.svg shows what the commands print (node docs/demo.mjs > docs/demo.svg makes it anew)',
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [file('demo.mjs')])
    expect(stdout).toBe(readFileSync(file('demo.svg'), 'utf8'))
  },
  90_000,
)

test('docs/demo.svg needs nothing from elsewhere, and says what it shows', () => {
  const picture = readFileSync(file('demo.svg'), 'utf8')
  expect(picture.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
    /https?:|url\(|@import|<script/,
  )
  expect(picture).toMatch(/role="img" aria-labelledby="title description"/)
  for (const part of ['title', 'description']) expect(picture).toMatch(new RegExp(`id="${part}">[^<]{20,}<`))
})
