// CRC-64/NVME, the checksum of the contract (`info.checksum` in wit/types.wit).

const POLYNOMIAL = 0x9a6c9329ac4bc9b5n; // bit-reversed

// As two halves of 32 bits, since arithmetic on a BigInt for each byte would be slow.
const HIGH = new Uint32Array(256);
const LOW = new Uint32Array(256);

for (let byte = 0; byte < 256; byte++) {
  let crc = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) {
    crc = crc & 1n ? (crc >> 1n) ^ POLYNOMIAL : crc >> 1n;
  }
  HIGH[byte] = Number(crc >> 32n);
  LOW[byte] = Number(crc & 0xffff_ffffn);
}

/** The checksum of the bytes that it was given, one chunk after the other. */
export class Crc64 {
  #high = -1;
  #low = -1;

  update(bytes) {
    let high = this.#high;
    let low = this.#low;
    for (let at = 0; at < bytes.length; at++) {
      const entry = (low ^ bytes[at]) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ LOW[entry];
      high = (high >>> 8) ^ HIGH[entry];
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** As a BigInt: a number has no room for 64 bits. */
  get value() {
    return (BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0);
  }
}
