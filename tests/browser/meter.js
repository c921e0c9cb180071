// Measures what is heard, 20 ms at a time: when (Unix time, ms), how loud, and how much of certain
// tones is in it (Goertzel; amplitudes, full scale is 1).
class Meter extends AudioWorkletProcessor {
  constructor(options) {
    super();
    this.size = sampleRate / 50;
    this.block = new Float32Array(this.size);
    this.filled = 0;
    this.factors = options.processorOptions.tones.map(
      (hertz) => 2 * Math.cos((2 * Math.PI * hertz) / sampleRate),
    );
  }

  process(inputs) {
    const channel = inputs[0][0];
    if (!channel) return true;
    for (const sample of channel) {
      this.block[this.filled++] = sample;
      if (this.filled === this.size) {
        this.port.postMessage(this.measured());
        this.filled = 0;
      }
    }
    return true;
  }

  measured() {
    let power = 0;
    for (const sample of this.block) power += sample * sample;
    const tones = this.factors.map((factor) => {
      let one = 0;
      let two = 0;
      for (const sample of this.block) [one, two] = [sample + factor * one - two, one];
      return (2 / this.size) * Math.sqrt(Math.max(0, one * one + two * two - factor * one * two));
    });
    return [Date.now(), Math.sqrt(power / this.size), ...tones];
  }
}

registerProcessor("meter", Meter);
