// The network in the page: loads runtime and model when first asked, crops, asks, draws. Nothing leaves the page.
(() => {
  const base = new URL('.', document.currentScript.src).href
  const REFUSALS = {
    NotAllowedError: 'The browser may not use the camera. Allow it beside the address of this page, or stay with the drawn faces.',
    NotFoundError: 'There is no camera on this computer. Choose a picture, or stay with the drawn faces.',
    NotReadableError: 'Another program is using the camera. Close it, then try again.'}
  const LONGEST = 1280  // pixels of a picture's longer side; larger ones are shrunk

  // --- the runtime, once for all forms on the page

  const script = name => new Promise((onload, onerror) => document.head.append(
    Object.assign(document.createElement('script'), {src: base + name, onload, onerror: () => onerror(new Error(`${name} cannot be loaded`))})))
  const bytes = async text => (await fetch(`data:application/octet-stream;base64,${text}`)).blob()
  const unpacked = blob => new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()

  async function load(say) {
    say('Loading the runtime ...')
    await script('runtime.js')
    say('Loading the network ...')
    await script('model.js')
    say('Starting ...')
    const {script: code, wasm, model} = window.tryFiles
    delete window.tryFiles
    const address = URL.createObjectURL(new Blob([code], {type: 'text/javascript'}))
    const ort = await import(address)
    ort.env.wasm.numThreads = 1
    ort.env.wasm.wasmBinary = await unpacked(await bytes(wasm))
    const session = await ort.InferenceSession.create(new Uint8Array(await (await bytes(model)).arrayBuffer()), {executionProviders: ['wasm']})
    return {ort, session}
  }
  let loading = null
  const ready = say => loading ??= load(say).catch(problem => { loading = null; throw problem })

  async function ask(pixels, about, say) {  // uint8 (channels, size, size) to {probabilities, evidence}
    const {ort, session} = await ready(say)
    const start = performance.now()
    const found = await session.run({pixels: new ort.Tensor('uint8', pixels, [1, about.channels, about.size, about.size])})
    const evidence = found.evidence && {values: found.evidence.data, height: found.evidence.dims[2], width: found.evidence.dims[3]}
    return {probabilities: [...found.probabilities.data], evidence, took: performance.now() - start}
  }

  // --- pixels

  const canvasOf = (width, height) => Object.assign(document.createElement('canvas'), {width, height})
  const pen = canvas => canvas.getContext('2d', {willReadFrequently: true})

  function shares(from, to) {  // for each of `to` cells: the cells of `from` under it, and how much of each
    return Array.from({length: to}, (_, i) => {
      const low = i*from/to, high = (i + 1)*from/to, found = []
      for (let j = Math.floor(low); j < Math.min(Math.ceil(high - 1e-9), from); j++) found.push([j, (Math.min(high, j + 1) - Math.max(low, j))*to/from])
      return found
    })
  }
  function averaged(plane, from, to) {  // a square of numbers, each cell of the result the mean of what lies under it
    const weights = shares(from, to), rows = new Float32Array(to*from), out = new Float32Array(to*to)
    weights.forEach((cells, i) => cells.forEach(([j, w]) => { for (let x = 0; x < from; x++) rows[i*from + x] += w*plane[j*from + x] }))
    for (let y = 0; y < to; y++) weights.forEach((cells, i) => cells.forEach(([j, w]) => { out[y*to + i] += w*rows[y*from + j] }))
    return out
  }
  function cropped(canvas, frame, about) {  // uint8 (channels, size, size) of what is in the frame; outside of the picture it is grey
    const side = Math.max(Math.round(frame.side), 1), cut = canvasOf(side, side), c = pen(cut)
    c.fillStyle = '#808080'
    c.fillRect(0, 0, side, side)
    c.drawImage(canvas, -Math.round(frame.x), -Math.round(frame.y))
    const rgba = c.getImageData(0, 0, side, side).data, n = about.size*about.size, out = new Uint8Array(about.channels*n)
    const grey = i => Math.floor((19595*rgba[4*i] + 38470*rgba[4*i + 1] + 7471*rgba[4*i + 2] + 32768)/65536)  // ITU-R 601, as PIL has it
    for (let channel = 0; channel < about.channels; channel++) {
      const plane = Float32Array.from({length: side*side}, (_, i) => about.channels === 1 ? grey(i) : rgba[4*i + channel])
      out.set(averaged(plane, side, about.size).map(Math.round), channel*n)
    }
    return out
  }
  function heat(evidence, index) {  // one class's map as a picture: orange for it, blue against it
    const {values, width, height} = evidence, n = width*height, picture = new ImageData(width, height), small = canvasOf(width, height)
    const most = Math.max(...values.map(Math.abs), 1e-9)
    for (let i = 0; i < n; i++) {
      const o = values[index*n + i]/most
      picture.data.set([...(o > 0 ? [255, 140, 0] : [40, 110, 255]), 150*Math.abs(o)**.8], 4*i)
    }
    small.getContext('2d').putImageData(picture, 0, 0)
    return small
  }

  // --- a form

  function start(form) {
    const about = JSON.parse(form.dataset.about), $ = name => form.querySelector(name), all = name => [...form.querySelectorAll(name)]
    const canvas = $('canvas'), bars = $('.try-bars'), faces = all('.try-face'), frameBox = $('.try-frame'), notice = $('.try-notice')
    let turn = 0, picture = null, view = null, frame = null, answer = null, chosen = null, stream = null, busy = false
    const say = text => { const box = $('.try-said'); if (box.textContent !== text) box.textContent = text }
    const hasEvidence = about.outputs.includes('evidence')
    if ($('.try-evidence') && !hasEvidence) $('.try-evidence').textContent = 'This network has no evidence map.'

    function stop() {
      turn += 1
      stream?.getTracks().forEach(o => o.stop())
      stream = answer = chosen = null
      faces.forEach(o => o.setAttribute('aria-pressed', false))
      $('[data-do=camera]')?.setAttribute('aria-pressed', false)
      $('.try-file')?.classList.remove('try-on')
      if (notice) notice.hidden = true
      return turn
    }
    function show(source, whole, seen = source) {  // a canvas, whether all of it is the face, and what the reader sees of it
      picture = source
      view = seen
      const short = Math.min(source.width, source.height), side = whole ? short : .75*short
      frame = {x: (source.width - side)/2, y: (source.height - side)/2, side}
      if (frameBox) { frameBox.hidden = whole; sliders() }
    }
    function sliders() {
      const room = {x: picture.width - frame.side, y: picture.height - frame.side}
      all('[data-frame]').forEach(o => { const k = o.dataset.frame; o.value = k === 'side' ? frame.side/Math.min(picture.width, picture.height) : room[k] > 0 ? frame[k]/room[k] : .5 })
    }
    function place(x, y, side) {  // the frame, kept within the picture
      frame.side = Math.min(Math.max(side, 16), picture.width, picture.height)
      frame.x = Math.min(Math.max(x, 0), picture.width - frame.side)
      frame.y = Math.min(Math.max(y, 0), picture.height - frame.side)
    }

    function draw() {
      const whole = frame.side === picture.width && frame.side === picture.height, scale = 480/picture.width, c = canvas.getContext('2d')
      ;[canvas.width, canvas.height] = [480, Math.round(480*picture.height/picture.width)]
      c.imageSmoothingQuality = 'high'
      c.drawImage(view, 0, 0, canvas.width, canvas.height)
      const [x, y, side] = [frame.x*scale, frame.y*scale, frame.side*scale]
      if (answer?.evidence && ($('[data-evidence]')?.checked ?? true)) {
        c.save()
        c.beginPath(); c.rect(x, y, side, side); c.clip()
        c.drawImage(heat(answer.evidence, chosen ?? best()), x, y, side, side)
        c.restore()
      }
      if (whole) return
      c.fillStyle = '#0006'
      c.beginPath(); c.rect(0, 0, canvas.width, canvas.height); c.rect(x, y, side, side); c.fill('evenodd')
      c.strokeStyle = '#ffa94d'; c.lineWidth = 3; c.strokeRect(x, y, side, side)
    }
    const best = () => answer.probabilities.indexOf(Math.max(...answer.probabilities))
    const percent = p => `${(100*p).toFixed(p < .0995 ? 1 : 0)} %`

    function fill() {  // the bars
      const order = [...about.labels.keys()], most = Number(bars.dataset.most) || order.length
      if (most < order.length) order.sort((a, b) => answer.probabilities[b] - answer.probabilities[a])
      const rows = order.slice(0, most).map(i => {
        const row = document.createElement('button'), [name, bar, number] = ['span', 'i', 'b'].map(o => document.createElement(o)), p = answer.probabilities[i]
        Object.assign(row, {type: 'button', className: `try-bar${i === best() ? ' try-best' : ''}`})
        row.setAttribute('aria-pressed', hasEvidence && i === (chosen ?? best()))
        Object.assign(row.dataset, {label: about.labels[i], probability: p})
        name.textContent = about.labels[i]; bar.style.width = `${100*p}%`; number.textContent = percent(p)
        row.append(name, bar, number)
        row.addEventListener('click', () => { chosen = i; refresh() })
        return row
      })
      const focused = bars.contains(document.activeElement) && document.activeElement.dataset.label
      bars.replaceChildren(...rows)
      if (focused) rows.find(o => o.dataset.label === focused)?.focus()
      if ($('.try-evidence b') && hasEvidence) $('.try-evidence b').textContent = about.labels[chosen ?? best()]
    }
    function refresh() { draw(); if (answer) fill() }

    let wanted = null
    async function look(what) {  // answer for the frame as it is now; of what is asked meanwhile, the last is answered next
      wanted = {now: turn, what}
      if (busy) return
      busy = true
      for (let job; (job = wanted);) {
        wanted = null
        const current = () => job.now === turn
        try {
          const found = await ask(cropped(picture, frame, about), about, text => current() && say(text))
          if (current()) told(found, job.what)
        } catch (problem) {
          if (!current()) continue
          stop()
          say(`The network does not start (${problem.message}). Load the page again, or try another browser.`)
        }
      }
      busy = false
    }
    function told(found, what) {
      answer = found
      refresh()
      const name = about.labels[best()], p = percent(answer.probabilities[best()])
      if (!stream) say(`${name}, ${p}.${what ? ` It was drawn as ${what}.` : ''}`)
      canvas.setAttribute('aria-label', `${stream ? 'The camera' : what ? `A face drawn as ${what}` : 'Your picture'}: ${name}, ${p}`)
      if ($('.try-small')) $('.try-small').textContent = `${answer.took.toFixed(0)} ms for this face, in your browser, by onnxruntime-web ${about.version}`
      form.dataset.answers = Number(form.dataset.answers || 0) + 1
    }
    function begin(source, whole, what, seen) { show(source, whole, seen); draw(); bars.replaceChildren(); look(what) }

    async function face(button) {
      const now = stop(), image = Object.assign(new Image(), {src: button.dataset.pixels})
      button.setAttribute('aria-pressed', true)
      await image.decode()
      if (now !== turn) return
      const source = canvasOf(image.width, image.height)
      pen(source).drawImage(image, 0, 0)
      begin(source, true, button.dataset.said, button.querySelector('img'))
    }
    async function own(file) {
      if (!file) return
      const now = stop()
      $('.try-file').classList.add('try-on')
      try {
        const image = await createImageBitmap(file, {imageOrientation: 'from-image'})
        if (now !== turn) return
        const scale = Math.min(LONGEST/Math.max(image.width, image.height), 1), source = canvasOf(Math.round(image.width*scale) || 1, Math.round(image.height*scale) || 1)
        const c = pen(source)
        c.fillStyle = '#fff'
        c.fillRect(0, 0, source.width, source.height)
        c.imageSmoothingQuality = 'high'
        c.drawImage(image, 0, 0, source.width, source.height)
        begin(source, source.width === source.height && source.width <= 64, '')
      } catch { if (now === turn) say(`${file.name} cannot be read as a picture: give a JPEG or PNG.`) }
    }
    async function open() {
      const now = stop()
      $('[data-do=camera]').setAttribute('aria-pressed', true)
      if (!navigator.mediaDevices) return say('Browsers give cameras only to secure pages (https, or localhost). Choose a picture, or stay with the drawn faces.')
      try {
        const got = await navigator.mediaDevices.getUserMedia({video: {width: 640, height: 480}})
        if (now !== turn) return got.getTracks().forEach(o => o.stop())
        stream = got
        const film = Object.assign(document.createElement('video'), {srcObject: got, muted: true, playsInline: true})
        await film.play()
        const source = canvasOf(film.videoWidth, film.videoHeight), c = pen(source)
        c.setTransform(-1, 0, 0, 1, source.width, 0)  // as in a mirror
        c.drawImage(film, 0, 0)
        show(source, false)
        draw()
        await ready(text => now === turn && say(text))
        if (now === turn) say('Put your face into the frame.')
        while (now === turn) {
          c.drawImage(film, 0, 0)
          await look('')
          await new Promise(requestAnimationFrame)
        }
      } catch (problem) {
        if (now !== turn) return
        stop()
        say(REFUSALS[problem.name] || `The camera does not open (${problem.message}).`)
      }
    }

    const acts = {open, decline() { notice.hidden = true; $('[data-do=camera]').focus() },
      camera() { if (stream) { stop(); say('The camera is closed.') } else { notice.hidden = false; notice.querySelector('button').focus() } }}
    form.addEventListener('click', event => acts[event.target.closest('[data-do]')?.dataset.do]?.())
    faces.forEach(o => o.addEventListener('click', () => face(o)))
    const first = faces[3].querySelector('img')  // until one is chosen, something to look at
    first.decode().then(() => picture || canvas.getContext('2d').drawImage(first, 0, 0, canvas.width, canvas.height))
    $('[data-evidence]')?.addEventListener('change', () => picture && refresh())
    all('[data-frame]').forEach(o => o.addEventListener('input', () => {
      const v = name => Number($(`[data-frame=${name}]`).value), side = v('side')*Math.min(picture.width, picture.height)
      place(v('x')*(picture.width - side), v('y')*(picture.height - side), side)
      moved()
    }))
    function moved() { draw(); if (!stream) look('') }
    if (!frameBox) return
    const input = $('input[type=file]')
    input.addEventListener('change', () => { own(input.files[0]); input.value = '' })
    form.addEventListener('dragover', event => { event.preventDefault(); form.classList.add('try-drop') })
    form.addEventListener('dragleave', () => form.classList.remove('try-drop'))
    form.addEventListener('drop', event => { event.preventDefault(); form.classList.remove('try-drop'); own(event.dataTransfer.files[0]) })
    let held = null
    canvas.addEventListener('pointerdown', event => {
      if (!picture || frameBox.hidden) return
      held = {left: event.clientX, top: event.clientY, x: frame.x, y: frame.y}
      canvas.setPointerCapture(event.pointerId)
    })
    canvas.addEventListener('pointermove', event => {
      if (!held) return
      const scale = picture.width/canvas.clientWidth
      place(held.x + scale*(event.clientX - held.left), held.y + scale*(event.clientY - held.top), frame.side)
      sliders()
      moved()
    })
    for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => { held = null })
    addEventListener('pagehide', stop)
  }

  const begin = () => document.querySelectorAll('.try-it').forEach(start)
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', begin)
  else begin()
})()
