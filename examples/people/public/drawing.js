import cytoscape from '/cytoscape/cytoscape.esm.min.mjs'

const dark = window.matchMedia('(prefers-color-scheme: dark)')

/** The graph as it is drawn. People are picked by a tap on them. */
export class Drawing {
  #graph

  constructor (container, onPick) {
    this.#graph = cytoscape({
      container,
      style: style(container),
      minZoom: 0.3,
      maxZoom: 2.5,
      selectionType: 'single',
      autounselectify: true,
      boxSelectionEnabled: false,
    })
    this.#graph.on('tap', 'node', ({ target }) => onPick(target.id()))
    this.#graph.on('zoom add', () => this.#scaleNames())
    dark.addEventListener('change', () => {
      this.#graph.style(style(container))
      this.#scaleNames()
    })
    new window.ResizeObserver(() => {
      this.#graph.resize()
      this.fit()
    }).observe(container)
  }

  /** Draws what is new, removes what is gone, and leaves the rest where it is. */
  show ({ people, acquaintances }) {
    const graph = this.#graph
    const edges = acquaintances.map(([a, b]) => ({ data: { id: `${a} ${b}`, source: a, target: b } }))
    const nodes = people.map(({ id, name }) => ({ data: { id, name } }))
    const wanted = new Set([...nodes, ...edges].map(({ data }) => data.id))
    const isFirst = graph.nodes().empty()
    graph.elements().filter((element) => !wanted.has(element.id())).remove()
    for (const element of [...nodes, ...edges]) {
      if (graph.getElementById(element.data.id).nonempty()) continue
      graph.add({ ...element, ...!isFirst && element.data.name && { position: this.#freePlace() } })
    }
    if (isFirst) this.#arrange()
  }

  /** Marks the two people who are picked. */
  pick (from, to) {
    this.#mark('from', [from])
    this.#mark('to', [to])
  }

  /** Marks the way along these people. */
  showWay (ids) {
    const steps = ids.slice(1).flatMap((id, i) => [`${ids[i]} ${id}`, `${id} ${ids[i]}`])
    this.#mark('way', [...ids, ...steps])
  }

  fit () {
    this.#graph.fit(undefined, 30)
  }

  /** However far the drawing is zoomed, names can be read. */
  #scaleNames () {
    const zoom = this.#graph.zoom()
    this.#graph.nodes().style({ 'font-size': 13 / zoom, 'text-outline-width': 3 / zoom, 'text-margin-y': 4 / zoom })
  }

  #mark (name, ids) {
    this.#graph.batch(() => {
      this.#graph.elements(`.${name}`).removeClass(name)
      for (const id of ids) this.#graph.getElementById(id).addClass(name)
    })
  }

  /** Where in the window there is most room around someone new. */
  #freePlace () {
    const { x1, y1, w, h } = this.#graph.extent()
    const taken = this.#graph.nodes().map((node) => node.position())
    let best = { room: -1 }
    for (let i = 1; i < 16; i++) {
      for (let j = 1; j < 16; j++) {
        const [x, y] = [x1 + w * i / 16, y1 + h * j / 16]
        const room = Math.min(...taken.map((other) => Math.hypot(other.x - x, other.y - y)))
        if (room > best.room) best = { x, y, room }
      }
    }
    return { x: best.x, y: best.y }
  }

  #arrange () {
    this.#graph.layout({ name: 'circle', animate: false }).run()
    this.#graph.layout({
      name: 'cose',
      randomize: false,
      animate: false,
      padding: 30,
      nodeRepulsion: () => 14_000,
      idealEdgeLength: () => 70,
      nodeOverlap: 24,
      componentSpacing: 60,
      nodeDimensionsIncludeLabels: true,
    }).run()
  }
}

/** In the page's own colours. */
function style (container) {
  const computed = window.getComputedStyle(container)
  const color = (name) => computed.getPropertyValue(`--${name}`).trim()
  return [
    {
      selector: 'node',
      style: {
        label: 'data(name)',
        width: 26,
        height: 26,
        'background-color': color('accent'),
        color: color('ink'),
        'font-family': computed.fontFamily,
        'text-valign': 'bottom',
        'text-outline-color': color('surface'),
      },
    },
    { selector: 'edge', style: { width: 1.5, 'line-color': color('ink-soft'), 'line-opacity': 0.5, 'curve-style': 'straight' } },
    { selector: 'edge.way', style: { width: 5, 'line-color': color('warm'), 'line-opacity': 1 } },
    { selector: 'node.way', style: { 'background-color': color('warm') } },
    { selector: 'node.from, node.to', style: { 'border-width': 4, 'border-color': color('focus'), 'font-weight': 700, width: 32, height: 32 } },
    { selector: 'node:active', style: { 'overlay-opacity': 0.08 } },
  ]
}
