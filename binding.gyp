# The addon by node-gyp: CPU only, for machines without CMake. CMakeLists.txt is the twin with CUDA; flags must agree.
{
  'variables': {
    # 1 (node-gyp configure -- -Drvx_sim=1): also the tests' addon, whose device cuda-sim runs the CUDA kernels on the CPU.
    'rvx_sim%': 0,
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
      'sources': ['<!@(node native/sources.cjs addon cuda/absent)'],
      'includes': ['native/addon/addon.gypi'],
    },
    {
      # All but the glue and the GPU.
      'target_name': 'common',
      'type': 'static_library',
      'sources': ['<!@(node native/sources.cjs core ops cpu math)'],
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
    ['rvx_sim==1', {
      'targets': [
        {
          'target_name': 'renvox_sim',
          'product_name': 'renvox',
          'product_dir': '<(PRODUCT_DIR)/../sim/build/Release',
          'sources': ['<!@(node native/sources.cjs addon cuda cuda/sim)'],
          'includes': ['native/addon/addon.gypi'],
          'defines': ['RVX_SIM=1'],
          'cflags_cc': ['-Wno-unknown-pragmas', '-Wno-unused-function'],
          # The host compiler reads a kernel file as C++ through a file that includes it.
          'rules': [
            {
              'rule_name': 'kernel',
              'extension': 'cu',
              'outputs': ['<(INTERMEDIATE_DIR)/<(RULE_INPUT_ROOT).cu.cpp'],
              'action': ['node', 'native/sources.cjs', '--wrap', '<(RULE_INPUT_PATH)', '<@(_outputs)'],
              'process_outputs_as_sources': 1,
            },
          ],
        },
      ],
    }],
  ],
}
