const PLAIN = /^[\x20-\x7e]*$/
const WIDE =
  /[\p{Emoji_Presentation}\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u
/** Of the same scripts, but half as wide. */
const HALF_WIDE = /[\uff61-\uffdc]/
/** They stand on the character before. */
const COMBINING = /[\p{Mn}\p{Me}]/u

/** How many columns of a terminal a text takes that has no control characters. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

function widthOfCharacter(character: string): number {
  if (COMBINING.test(character)) return 0
  return WIDE.test(character) && !HALF_WIDE.test(character) ? 2 : 1
}

/** A text cut to so many columns, with `…` at its end where something is missing. */
export function clip(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let cut = ''
  let left = columns - 1
  for (const character of text) {
    left -= widthOfCharacter(character)
    if (left < 0) break
    cut += character
  }
  return `${cut}…`
}
