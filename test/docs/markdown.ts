/** The text of a section, from the heading that begins with `heading` to the next one of the same level. */
export function section(markdown: string, heading: string): string {
  const found = markdown.split(/^## /m).find(part => part.startsWith(heading))
  if (found === undefined) throw new Error(`there is no section ${heading}`)
  return found
}

/** The content of the first fenced block after a mark. */
export function fencedBlock(markdown: string, mark: string): string {
  const at = markdown.indexOf(mark)
  const block = at === -1 ? null : /^```\w*\n([\s\S]*?)^```$/m.exec(markdown.slice(at))
  if (block === null) throw new Error(`there is no block after ${mark}`)
  return block[1] ?? ''
}

/** The rows of all tables in a text, without their headings; a bar within a cell is not supported. */
export function rowsOf(markdown: string): string[][] {
  const lines = markdown.split('\n')
  return lines.flatMap((line, at) => {
    const isRow = line.startsWith('|') && !line.startsWith('|--') && !lines[at + 1]?.startsWith('|--')
    return isRow
      ? [
          line
            .slice(1, -1)
            .split('|')
            .map(cell => cell.replace(/^ | $/g, '')),
        ]
      : []
  })
}
