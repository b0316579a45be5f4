import { element, euros } from '/shared/dom.js'

/** The lines of the basket. Each keeps its elements while it is there, so that a button that was pressed keeps the focus. */
export class BasketLines {
  #list
  #lines = new Map()
  #products
  #most
  #on

  /** `on` has `more`, `less` and `remove`, which are given the product. */
  constructor (list, { products, maxQuantity }, on) {
    this.#list = list
    this.#products = new Map(products.map((product) => [product.id, product]))
    this.#most = maxQuantity
    this.#on = on
  }

  show (lines) {
    const kept = new Set(lines.map(({ product }) => product))
    for (const [id, line] of this.#lines) if (!kept.has(id)) this.#drop(id, line)
    for (const { product, quantity, sum } of lines) {
      const line = this.#lines.get(product) ?? this.#add(product)
      line.quantity.value = String(quantity)
      line.more.disabled = quantity >= this.#most
      line.sum.textContent = euros(sum)
    }
  }

  #add (id) {
    const product = this.#products.get(id)
    const round = (text, label, onclick) => element('button', { className: 'round', type: 'button', 'aria-label': label, onclick }, text)
    const quantity = element('output', { className: 'figures' })
    const more = round('+', `One more: ${product.name}`, () => this.#on.more(product))
    const sum = element('p', { className: 'line-sum figures' })
    const item = element('li', { className: 'line', 'data-product': id },
      element('img', { src: `/art/${id}.svg`, alt: '' }),
      element('p', { className: 'line-name' }, product.name),
      sum,
      element('div', { className: 'stepper' }, round('−', `One less: ${product.name}`, () => this.#on.less(product)), quantity, more),
      element('button', { className: 'remove', type: 'button', 'aria-label': `Remove ${product.name}`, onclick: () => this.#on.remove(product) }, 'Remove'))
    this.#list.append(item)
    const line = { item, quantity, more, sum }
    this.#lines.set(id, line)
    return line
  }

  #drop (id, { item }) {
    this.#lines.delete(id)
    const hadFocus = item.contains(document.activeElement)
    const neighbour = item.nextElementSibling ?? item.previousElementSibling
    item.remove()
    if (hadFocus) (neighbour?.querySelector('button') ?? this.#list.closest('aside')).focus()
  }
}
