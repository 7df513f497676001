# The addon by node-gyp: CPU only, for machines without CMake. CMakeLists.txt is the twin with CUDA; flags must agree.
{
  'variables': {
    'isa_sources': ['<!@(node native/sources.cjs cpu/isa)'],
  },
  'target_defaults': {
    'include_dirs': ['native'],
    'cflags_cc': ['-std=c++17', '-O3', '-ffp-contract=off', '-fno-math-errno', '-Wall', '-Wextra',
                  '-fvisibility=hidden', '-fvisibility-inlines-hidden'],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
      'GCC_ENABLE_CPP_RTTI': 'YES',
      'GCC_OPTIMIZATION_LEVEL': '3',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'OTHER_CPLUSPLUSFLAGS': ['-ffp-contract=off', '-fno-math-errno'],
    },
  },
  'targets': [
    {
      'target_name': 'renvox',
      'sources': ['<!@(node native/sources.cjs core ops cpu math addon cuda/absent)'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=8', 'NODE_ADDON_API_CPP_EXCEPTIONS_ALL',
                  'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
      'libraries': ['-pthread'],
      # The least demanding variant first: of two equal inline functions the linker keeps the first.
      'dependencies': ['isa_baseline'],
      'conditions': [
        ['target_arch=="x64"', {'dependencies': ['isa_avx2', 'isa_avx512']}],
        ['OS=="linux"', {
          'ldflags': ['-Wl,--version-script=<(module_root_dir)/native/addon/exports.map'],
        }],
      ],
    },
    {
      'target_name': 'isa_baseline',
      'type': 'static_library',
      'sources': ['<@(isa_sources)'],
      'defines': ['RVX_ISA=baseline', 'RVX_ISA_LANES=4'],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'isa_avx2',
          'type': 'static_library',
          'variables': {'isa_flags': ['-mavx2', '-mfma', '-mf16c']},
          'sources': ['<@(isa_sources)'],
          'defines': ['RVX_ISA=avx2', 'RVX_ISA_LANES=8'],
          'cflags_cc': ['<@(isa_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(isa_flags)']},
        },
        {
          'target_name': 'isa_avx512',
          'type': 'static_library',
          'variables': {
            'isa_flags': ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c',
                          '-mprefer-vector-width=512'],
          },
          'sources': ['<@(isa_sources)'],
          'defines': ['RVX_ISA=avx512', 'RVX_ISA_LANES=16'],
          'cflags_cc': ['<@(isa_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(isa_flags)']},
        },
      ],
    }],
  ],
}
