const space = 'http://www.w3.org/2000/svg'

/** The town between the oven and the door, and the scooter on its way. It goes on to both sides, for a window that is wide and low. */
const drawing = `
  <g class="blocks">
    <rect x="20" y="18" width="118" height="52" rx="6"/><rect x="162" y="18" width="92" height="52" rx="6"/><rect x="278" y="18" width="140" height="52" rx="6"/><rect x="442" y="18" width="138" height="52" rx="6"/>
    <rect x="20" y="94" width="118" height="66" rx="6"/><rect x="162" y="94" width="92" height="66" rx="6"/><rect x="442" y="94" width="138" height="66" rx="6"/>
    <rect x="20" y="184" width="118" height="58" rx="6"/><rect x="162" y="184" width="92" height="58" rx="6"/><rect x="278" y="184" width="140" height="58" rx="6"/><rect x="442" y="184" width="138" height="58" rx="6"/>
    ${[-652, -488, -324, -160, 604, 768, 932, 1096].map((x) => [[18, 52], [94, 66], [184, 58]].map(([y, height]) => `<rect x="${x}" y="${y}" width="140" height="${height}" rx="6"/>`).join('')).join('')}
  </g>
  <g class="park"><rect x="278" y="94" width="140" height="66" rx="6"/><circle cx="304" cy="118" r="10"/><circle cx="334" cy="138" r="12"/><circle cx="370" cy="114" r="9"/><circle cx="394" cy="142" r="11"/></g>
  <path class="river" d="M-660 262H-10C90 236 150 286 260 262S460 244 610 272H1240"/>
  <path class="road" d="M60 172H150V82H266V172H430V82H540"/>
  <path class="done" pathLength="1" d="M60 172H150V82H266V172H430V82H540"/>
  <g class="place oven" transform="translate(60 172)"><circle r="17"/><path d="M-8 5a8 8 0 0 1 16 0zM-10 8h20M-3 1v-2M3 1v-2"/></g>
  <g class="place door" transform="translate(540 82)"><circle r="17"/><path d="M-9 0 0-9 9 0M-6-2v10H6V-2M-2 8V2h4v6"/></g>
  <g class="scooter"><circle class="halo" r="16"/><path d="M-11 5h4l2-6h7l3 6h5M5-7h4l3 12"/><rect x="-12" y="-9" width="9" height="8" rx="1.5"/><circle cx="-8" cy="7" r="3.4"/><circle cx="10" cy="7" r="3.4"/></g>`

export class TownMap {
  #road
  #done
  #scooter

  constructor (figure) {
    const svg = document.createElementNS(space, 'svg')
    svg.setAttribute('viewBox', '0 0 600 290')
    svg.setAttribute('preserveAspectRatio', 'xMidYMid meet')
    svg.setAttribute('aria-hidden', 'true')
    svg.innerHTML = drawing
    figure.replaceChildren(svg)
    figure.classList.add('map')
    this.#road = svg.querySelector('.road')
    this.#done = svg.querySelector('.done')
    this.#scooter = svg.querySelector('.scooter')
    this.show(0, false)
  }

  /**
   * @param progress how much of the way is done, from 0 to 1
   * @param riding whether the scooter is to be seen
   */
  show (progress, riding = true) {
    this.#scooter.classList.toggle('parked', !riding)
    const { x, y } = this.#road.getPointAtLength(this.#road.getTotalLength() * progress)
    this.#scooter.style.transform = `translate(${x}px, ${y - 4}px)`
    this.#done.style.strokeDasharray = `${progress} 1`
  }
}
