// The latents of seeds, written from the specification alone: shares no code with the package.
//
//     node latents.mjs DIM normal|uniform SEED...    prints a JSON array of float32 arrays
//
// As a module: latent(seed, dim, distribution) takes a BigInt or number and gives a Float32Array.

const MASK = (1n << 64n) - 1n;
const GAMMA = 0x9e3779b97f4a7c15n;

function mix(x) {
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return x ^ (x >> 31n);
}

export function word(seed, index) {
  const start = mix((BigInt(seed) + GAMMA) & MASK);
  return mix((start + (BigInt(index) + 1n) * GAMMA) & MASK);
}

const unit = (seed, index) => Number(word(seed, index) >> 11n) / 2 ** 53;

export function latent(seed, dim, distribution = "normal") {
  return Float32Array.from({ length: dim }, (_, index) => {
    if (distribution === "uniform") return 2 * unit(seed, index) - 1;
    const first = index - (index % 2);
    const radius = Math.sqrt(-2 * Math.log1p(-unit(seed, first)));
    const angle = 2 * Math.PI * unit(seed, first + 1);
    return radius * (index % 2 ? Math.sin(angle) : Math.cos(angle));
  });
}

if (process.argv[1]?.endsWith("latents.mjs")) {
  const [dim, distribution, ...seeds] = process.argv.slice(2);
  const rows = seeds.map((seed) => Array.from(latent(BigInt(seed), Number(dim), distribution)));
  console.log(JSON.stringify(rows));
}
