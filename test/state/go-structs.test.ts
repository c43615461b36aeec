import {
  Cmd,
  EnvVar,
  LinuxCapabilities,
  Resources,
  Socket,
  Sockets,
  Volume,
  Volumes,
} from 'sandbox-state/schemas'
import { describe, expect, it } from 'vitest'
import { escapeHtml } from '#src/state/go-text.js'
import { typeVectors } from './vectors.js'

const SCHEMAS = {
  Cmd,
  CmdZero: Cmd,
  EnvVar,
  LinuxCapabilities,
  Resources,
  ResourcesZero: Resources,
  Socket,
  Volume,
  Volumes,
  VolumesEmpty: Volumes,
}

const toGoJson = (value: unknown) => escapeHtml(JSON.stringify(value))

const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown) =>
  schema.safeParse(value).success

describe("Kata's other types", () => {
  it('are all among the vectors', () => {
    expect(Object.keys(typeVectors).sort()).toEqual(Object.keys(SCHEMAS).sort())
  })

  it.each(Object.entries(SCHEMAS))('%s is written as Go writes it', (name, schema) => {
    const bytes = typeVectors[name] ?? ''
    expect(toGoJson(schema.parse(JSON.parse(bytes)))).toBe(bytes)
  })

  it.each([
    ['nothing', {}],
    ['null', null],
    ['null fields', { Args: null, User: null, Capabilities: null, Detach: null }],
    ['unknown keys only', { Other: 1, args2: [] }],
  ])('are their zero values when given %s', (_, value) => {
    expect(toGoJson(Cmd.parse(value))).toBe(typeVectors.CmdZero)
    expect(toGoJson(Resources.parse(value))).toBe(typeVectors.ResourcesZero)
  })

  it('have their fields in the order of Kata, whatever the order and the case of the keys', () => {
    const given = { memorySLOTS: 10, MEMORY: 2048 }
    expect(toGoJson(Resources.parse(given))).toBe(typeVectors.Resources)
    expect(toGoJson(EnvVar.parse({ VALUE: '/bin', var: 'PATH' }))).toBe(typeVectors.EnvVar)
    expect(Cmd.parse({ argſ: ['a'] }).Args).toEqual(['a'])
  })

  it('take the last of two keys that are one to Go', () => {
    expect(Resources.parse({ Memory: 1, memory: 2 }).Memory).toBe(2)
  })

  it('distinguish an empty list from a missing one', () => {
    expect(Cmd.parse({ Args: [], Envs: [null, {}] })).toMatchObject({
      Args: [],
      Envs: [
        { Var: '', Value: '' },
        { Var: '', Value: '' },
      ],
      SupplementaryGroups: null,
    })
    expect(Cmd.parse({ Args: ['a', null] }).Args).toEqual(['a', ''])
  })

  it('are safe from a key called __proto__', () => {
    const given = JSON.parse('{"__proto__":{"Memory":7},"MemorySlots":1}')
    expect(Resources.parse(given)).toEqual({ Memory: 0, MemorySlots: 1 })
    expect(Object.getPrototypeOf(Resources.parse(given))).toBe(Object.prototype)
  })

  it('hold no lone surrogate and no -0', () => {
    expect(EnvVar.parse({ Var: '\ud83d' }).Var).toBe('\ufffd')
    expect(Resources.parse({ Memory: -0 }).Memory).toBe(0)
  })

  it.each([
    [Resources, { Memory: -1 }],
    [Resources, { Memory: 1.5 }],
    [Resources, { Memory: '1' }],
    [Resources, { Memory: 2 ** 53 }],
    [Resources, { MemorySlots: 256 }],
    [Resources, []],
    [Resources, 'x'],
    [Cmd, { Args: 'sh' }],
    [Cmd, { Args: [1] }],
    [Cmd, { User: 1000 }],
    [Cmd, { Interactive: 'true' }],
    [Cmd, { Capabilities: [] }],
    [Cmd, { Envs: ['A=b'] }],
    [Volumes, null],
    [Volumes, [1]],
    [Sockets, [{ Name: 1 }]],
  ])('refuse a wrong type or range: %#', (schema, value) => {
    expect(accepts(schema, value)).toBe(false)
  })

  it('take the greatest values of their ranges', () => {
    const greatest = { Memory: Number.MAX_SAFE_INTEGER, MemorySlots: 255 }
    expect(Resources.parse(greatest)).toEqual(greatest)
  })
})
