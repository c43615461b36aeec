import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatSockets,
  formatVolumes,
  parseSockets,
  parseVolumes,
  type Socket,
  type Volume,
} from '#src/state/colon-lists.js'
import { anyText, codeOf, stateError } from './support.js'
import { socketVectors, volumeVectors } from './vectors.js'

const part = anyText.map(text => `x${text.replaceAll(/[: ]/g, '')}`)

describe.each([
  {
    name: 'volumes',
    parse: parseVolumes,
    format: formatVolumes as (list: never[]) => string,
    vectors: volumeVectors,
    count: 221,
  },
  {
    name: 'sockets',
    parse: parseSockets,
    format: formatSockets as (list: never[]) => string,
    vectors: socketVectors,
    count: 212,
  },
])('$name', ({ parse, format, vectors, count }) => {
  it('are read and written as Go does, for every vector', () => {
    expect(vectors).toHaveLength(count)
    for (const { input, ok, result, string } of vectors) {
      if (!ok) {
        expect(
          codeOf(() => parse(input)),
          input,
        ).toBe('INVALID_STATE')
        continue
      }
      expect(parse(input), input).toEqual(result)
      expect(format(parse(input) as never[]), input).toBe(string)
    }
  })

  it('throw nothing but a StateStoreError for any text, and are the text again when they are written', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.array(fc.constantFrom('a', ':', ' ')).map(list => list.join('')),
        ),
        text => {
          if (codeOf(() => parse(text)) === undefined) expect(format(parse(text) as never[])).toBe(text)
          else expect(codeOf(() => parse(text))).toBe('INVALID_STATE')
        },
      ),
    )
  })

  it('are read from text only', () => {
    for (const value of [undefined, null, 1, ['a:b'], new String('a:b')]) {
      expect(() => parse(value as unknown as string)).toThrow(TypeError)
    }
  })

  it('are written from a list of entries only', () => {
    expect(format([])).toBe('')
    for (const value of [undefined, 'a:b', {}, [null], [{}], [{ MountTag: 1, HostPath: 'b', DeviceID: 1 }]]) {
      const write = () => format(value as unknown as never[])
      expect(write).toThrow(TypeError)
      expect(write).toThrow(/^(expected a list of \w+s|the \w+ of a \w+ is text), not /)
    }
  })
})

describe('parseVolumes', () => {
  it.each([
    ['', 'the list of volumes is empty'],
    ['a:b:c', 'volume "a:b:c" does not have the form MountTag:HostPath'],
    ['a:b ', 'volume "" does not have the form MountTag:HostPath'],
    ['a:b c:', 'volume "c:" has an empty HostPath'],
    ['a:b :\u001b', 'volume ":\\u001b" has an empty MountTag'],
  ])('names the part at fault in %j', (text, message) => {
    expect(stateError(() => parseVolumes(text)).message).toBe(message)
  })

  it('reads back every list that has no separators in its parts', () => {
    const volumes: fc.Arbitrary<Volume[]> = fc.array(fc.record({ MountTag: part, HostPath: part }), {
      minLength: 1,
    })
    fc.assert(
      fc.property(volumes, list => {
        expect(parseVolumes(formatVolumes(list))).toEqual(list)
      }),
    )
  })

  it('does not stop a list that could not be read back from being written, as Go does not', () => {
    expect(
      formatVolumes([
        { MountTag: 'a:b', HostPath: '' },
        { MountTag: ' ', HostPath: 'c' },
      ]),
    ).toBe('a:b:  :c')
  })
})

describe('parseSockets', () => {
  it.each([
    ['', 'the list of sockets is empty'],
    ['a:b:c', 'socket "a:b:c" does not have the form DeviceID:ID:HostPath:Name'],
    ['a:b::d', 'socket "a:b::d" has an empty HostPath'],
  ])('names the part at fault in %j', (text, message) => {
    expect(stateError(() => parseSockets(text)).message).toBe(message)
  })

  it('reads back every list that has no separators in its parts', () => {
    const sockets: fc.Arbitrary<Socket[]> = fc.array(
      fc.record({ DeviceID: part, ID: part, HostPath: part, Name: part }),
      { minLength: 1 },
    )
    fc.assert(
      fc.property(sockets, list => {
        expect(parseSockets(formatSockets(list))).toEqual(list)
      }),
    )
  })
})
