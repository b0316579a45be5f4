/** Shows the items of a list, each under its key: an element that stays keeps the focus and what was typed into it. */
export function show (list, items, keyOf, make, update) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]))
  for (const [i, item] of items.entries()) {
    const key = String(keyOf(item))
    const child = known.get(key) ?? make(item)
    child.dataset.key = key
    known.delete(key)
    update(child, item)
    if (list.children[i] !== child) list.insertBefore(child, list.children[i] ?? null)
  }
  for (const child of known.values()) child.remove()
}
