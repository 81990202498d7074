"""A widget of forty lines that stands for any: the harness is tested on it, and latency has its floor in it."""

TINY = '''
import anywidget, traitlets

class Tiny(anywidget.AnyWidget):
    """A prompt, a slider, a canvas fed by bytes, and a sentence."""
    _esm = """
    export default { render({ model, el }) {
      el.dataset.lmlab = "Tiny";
      const prompt = document.createElement("input");
      prompt.setAttribute("aria-label", "prompt");
      prompt.value = model.get("prompt");
      prompt.addEventListener("keydown", (e) => {
        if (e.key === "Enter") { model.set("prompt", prompt.value); model.save_changes(); }
      });
      const slider = document.createElement("input");
      Object.assign(slider, { type: "range", min: 1, max: 8, value: model.get("bits") });
      slider.setAttribute("aria-label", "bits");
      slider.dataset.lmSuppressShortcuts = "true";
      slider.addEventListener("input", () => { model.set("bits", Number(slider.value)); model.save_changes(); });
      const canvas = document.createElement("canvas");
      canvas.width = 256; canvas.height = 16;
      const status = document.createElement("p");
      status.setAttribute("role", "status");
      const draw = () => {
        const view = model.get("pixels"), pen = canvas.getContext("2d");
        const row = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
        for (let x = 0; x < row.length; x++) { pen.fillStyle = `rgb(${row[x]},0,0)`; pen.fillRect(x, 0, 1, 16); }
        status.textContent = model.get("sentence");
      };
      model.on("change:sentence", draw);
      draw();
      el.append(prompt, slider, canvas, status);
    } };
    """
    prompt = traitlets.Unicode("abc").tag(sync=True)
    bits = traitlets.Int(4).tag(sync=True)
    pixels = traitlets.Bytes(b"").tag(sync=True)
    sentence = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.observe(lambda _: self.compute(), ["prompt", "bits"])
        self.compute()

    def compute(self):
        self.pixels = bytes(i % 256 for i in range(200 + self.bits))
        self.sentence = f"{self.prompt} has {len(self.prompt)} characters at {self.bits} bits."
'''
SHOW = ["from IPython.display import display", TINY, "tiny = Tiny()\ntiny"]
