/** Networks as ONNX files. */
export { describeOnnx } from './describe-onnx.js';
export { formatOnnx, type OnnxOptions, saveOnnx } from './export-onnx.js';
