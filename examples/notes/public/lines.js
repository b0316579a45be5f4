/** Lines of two texts: which of each are in the other too, in the same order (their longest common subsequence). */
export function compare (mine, theirs) {
  const [a, b] = [mine.split('\n'), theirs.split('\n')]
  const longest = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1))
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i][j] = a[i] === b[j] ? longest[i + 1][j + 1] + 1 : Math.max(longest[i + 1][j], longest[i][j + 1])
    }
  }
  const rows = []
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      rows.push({ text: a[i], in: 'both' })
      i++
      j++
    } else if (j >= b.length || (i < a.length && longest[i + 1][j] >= longest[i][j + 1])) {
      rows.push({ text: a[i++], in: 'mine' })
    } else {
      rows.push({ text: b[j++], in: 'theirs' })
    }
  }
  return rows
}

/** Both texts in one: what either added, without what either took away from the text that both began with. */
export function together (began, mine, theirs) {
  const before = new Set(began.split('\n'))
  return compare(mine, theirs).filter((row) => row.in === 'both' || !before.has(row.text)).map(({ text }) => text).join('\n')
}
