// The weights of a version, out of its safetensors file.

const LENGTH_BYTES = 8;

/** Both dense layers, hidden and output: {kernel, bias, units}. `layers` are those of the summary. */
export function readWeights(buffer, layers) {
  const headerBytes = Number(new DataView(buffer).getBigUint64(0, true));
  const start = LENGTH_BYTES + headerBytes;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, LENGTH_BYTES, headerBytes)));
  const read = (name) => {
    const [from, to] = header[name].data_offsets;
    return new Float32Array(buffer.slice(start + from, start + to));
  };
  const [hidden, output] = layers
    .filter(({ kind }) => kind === "Dense")
    .map(({ name }) => {
      const bias = read(`${name}/bias`);
      return { kernel: read(`${name}/kernel`), bias, units: bias.length };
    });
  return { hidden, output };
}

/** What one unit of a layer does with each of its inputs. */
export function weightsOf({ kernel, units }, unit) {
  return Float32Array.from({ length: kernel.length / units }, (_, i) => kernel[i * units + unit]);
}

/** The sum of a neuron before its ReLU: its bias, and each pixel times its weight. */
export function sumOf(layer, unit, pixels) {
  return weightsOf(layer, unit).reduce(
    (sum, weight, i) => sum + (weight * pixels[i]) / 255,
    layer.bias[unit],
  );
}

/** The pixels of a picture in which every weight of the hidden layer is one, a tile a neuron. */
export function* tiles({ units }, side) {
  const across = Math.ceil(Math.sqrt(units));
  for (let unit = 0; unit < units; unit++) {
    yield { unit, left: (unit % across) * side, top: Math.floor(unit / across) * side };
  }
}
