# What the addon and the tests' addon have in common.
{
  'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
  'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS_ALL',
              'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
  'libraries': ['-pthread'],
  # The least demanding variant first: of two equal inline functions the linker keeps the first.
  'dependencies': ['common', 'isa_baseline'],
  'conditions': [
    ['target_arch=="x64"', {'dependencies': ['isa_avx2', 'isa_avx512']}],
    ['OS=="linux"', {
      'ldflags': ['-Wl,--version-script=<(module_root_dir)/native/addon/exports.map'],
    }],
  ],
}
