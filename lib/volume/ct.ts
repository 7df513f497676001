/** HU that a CT's voxels span at least, air and tissue: what spans less is a label map or an empty field. */
export const LEAST_CT_SPAN = 100;
