import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from '#src/cli/commands.js'
import manifest from '../../package.json' with { type: 'json' }
import { cli } from './support.js'

const page = fileURLToPath(new URL(`../../${manifest.man[0]}`, import.meta.url))

/** Programs that show a man page, and how each checks it. */
const FORMATTERS = {
  mandoc: { show: ['-man', '-Tutf8', '-Owidth=300'], lint: ['-Tlint', '-Wwarning'] },
  groff: { show: ['-man', '-Tutf8', '-rLL=300n', '-rHY=0', '-P-c'], lint: ['-man', '-Tutf8', '-ww', '-z'] },
}
const installed = Object.entries(FORMATTERS).filter(
  ([name]) => spawnSync(name, ['--version']).error === undefined,
)
if (installed.length === 0)
  console.warn('the man page is not formatted: neither mandoc nor groff is installed')

/** Letters in bold are printed as a letter, a backspace and the letter. */
function format(name: string, args: readonly string[]) {
  const { stdout, stderr } = spawnSync(name, [...args, page], { encoding: 'utf8' })
  return { complaints: `${stdout}${stderr}`, text: stdout.replaceAll(/.\x08/g, '') }
}

describe('the man page', () => {
  it('is what package.json names, for this version', () => {
    expect(existsSync(page)).toBe(true)
    expect(readFileSync(page, 'utf8')).toContain(`"sandbox\\-state ${manifest.version}"`)
  })

  it('has no character that some formatter would replace with a finer one', () => {
    expect(readFileSync(page, 'utf8')).not.toMatch(/(?<!\\)[-'^`~]/)
  })

  describe.each(installed)('formatted by %s', (name, { show, lint }) => {
    it('has no fault but that it has no date', () => {
      const { complaints } = format(name, lint)
      expect(complaints.split('\n').filter(line => line !== '' && !line.includes('missing date'))).toEqual([])
    })

    it('has every word of every help', async () => {
      const words = (text: string) => new Set(text.match(/[^\s]+/g))
      const shown = words(format(name, show).text)
      for (const command of ['', ...COMMANDS.map(({ name }) => name)]) {
        const { stdout } = await cli([command, '--help'].filter(word => word !== ''))
        // The list of commands has no place in it, as each has a section.
        const help = stdout.replace(/^(?:Global Options|Commands):\n(?: .*\n)+/gm, '')
        const told = help.replaceAll(/^(?:Usage|Arguments|Options):/gm, '')
        expect([command, [...words(told)].filter(word => !shown.has(word))]).toEqual([command, []])
      }
    })
  })
})
