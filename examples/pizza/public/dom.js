/** Makes an element: `element('button', { className: 'button', onclick }, 'Add')`. */
export function element (tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value
    else made.setAttribute(name, value)
  }
  made.append(...children)
  return made
}

/** All elements that have an id, by it. */
export function byId () {
  return Object.fromEntries([...document.querySelectorAll('[id]')].map((found) => [found.id, found]))
}

const money = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' })

export function euros (cents) {
  return money.format(cents / 100)
}

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
