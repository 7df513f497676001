/** Networks and their weights files. */
export { describeWeights, readJsonParts, type WeightsDescription } from './describe-weights.js';
export { type GradCamMethod, type GradCamOptions, gradCam } from './grad-cam.js';
export {
  type ImportOptions,
  type ImportReport,
  importWeights,
  type ListedTensor,
} from './import-weights.js';
export {
  type ForwardOptions,
  type InferOptions,
  Network,
  type NetworkOptions,
  type Weights,
} from './network.js';
export type { Precision } from './precision.js';
export { ResNet3D, type ResNet3DConfig, type ResNet3DForwardOptions } from './resnet3d.js';
export {
  formatSafetensors,
  parseSafetensors,
  type SafetensorsFile,
  type StoredTensor,
} from './safetensors.js';
export { parseTorchFile, type TorchFile, type TorchTensor } from './torch-file.js';
export { UNet3D, type UNet3DConfig } from './unet3d.js';
export {
  type LoadedNetwork,
  loadNetwork,
  makeNetwork,
  readWeightsFile,
  saveNetwork,
  storedTensors,
  uploadTensors,
  type WeightsMetadata,
} from './weights.js';
