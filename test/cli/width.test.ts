import { expect, test } from 'vitest'
import { clip, widthOf } from '#src/cli/width.js'

test.each([
  ['', 0],
  ['plain text', 10],
  ['äöü', 3],
  ['a\u0308', 1],
  ['監視', 4],
  ['한국어', 6],
  ['ひらカタ', 8],
  ['ｶﾀｶﾅ', 4],
  ['ＡＢ', 4],
  ['😀', 2],
  ['…', 1],
])('%j takes %i columns', (text, columns) => {
  expect(widthOf(text)).toBe(columns)
})

test.each([
  ['whole', 5, 'whole'],
  ['too long', 5, 'too …'],
  ['監視プログラム', 14, '監視プログラム'],
  ['監視プログラム', 6, '監視…'],
  ['監視プログラム', 5, '監視…'],
  ['監視プログラム', 4, '監…'],
  ['😀😀', 3, '😀…'],
  ['too long', 1, '…'],
])('%j cut to %i columns is %j', (text, columns, cut) => {
  expect(clip(text, columns)).toBe(cut)
})
