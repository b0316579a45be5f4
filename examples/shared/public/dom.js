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
