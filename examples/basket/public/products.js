import { element, euros } from '/shared/dom.js'

/** The cards of the shop window. */
export class ProductCards {
  #cards = new Map()
  #most

  constructor (list, { products, maxQuantity }, onAdd) {
    this.#most = maxQuantity
    for (const product of products) {
      const badge = element('span', { className: 'badge figures', hidden: true })
      const button = element('button', {
        className: 'button',
        type: 'button',
        'aria-label': `Add ${product.name} to the basket`,
        onclick: () => onAdd(product),
      }, 'Add')
      this.#cards.set(product.id, { badge, button })
      list.append(element('li', { className: 'product card', 'data-product': product.id },
        element('div', { className: 'picture' }, element('img', { src: `/art/${product.id}.svg`, alt: '', width: 200, height: 150 }), badge),
        element('div', { className: 'about' },
          element('h3', {}, product.name),
          element('p', { className: 'soft small' }, product.unit),
          element('div', { className: 'buy' }, element('strong', { className: 'figures' }, euros(product.price)), button))))
    }
  }

  show (lines) {
    const quantities = new Map(lines.map(({ product, quantity }) => [product, quantity]))
    for (const [id, { badge, button }] of this.#cards) {
      const quantity = quantities.get(id) ?? 0
      badge.hidden = quantity === 0
      badge.textContent = `${quantity} in basket`
      button.disabled = quantity >= this.#most
    }
  }
}
