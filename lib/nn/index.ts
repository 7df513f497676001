/** Networks and their weights files. */
export {
  type ForwardOptions,
  type InferOptions,
  Network,
  type NetworkOptions,
  type Weights,
} from './network.js';
export type { Precision } from './precision.js';
export { ResNet3D, type ResNet3DConfig } from './resnet3d.js';
export {
  formatSafetensors,
  parseSafetensors,
  type SafetensorsFile,
  type StoredTensor,
} from './safetensors.js';
export { UNet3D, type UNet3DConfig } from './unet3d.js';
export {
  type LoadedNetwork,
  loadNetwork,
  makeNetwork,
  saveNetwork,
  storedTensors,
  uploadTensors,
  type WeightsMetadata,
} from './weights.js';
