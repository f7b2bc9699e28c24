import CSTPN
import Testing

@testable import STPNKernel

/// The entry points have the types that stpn.h declares: this file compiles only if they do.
@Suite struct HeaderTests {
    /// Both have the same parameters and results.
    private func same<each P, R>(_ declared: (repeat each P) -> R, _ defined: (repeat each P) -> R) {}

    @Test func declarationsMatchDefinitions() {
        same(stpn_version_number, versionNumber)
        same(stpn_version_string, versionString)
        same(stpn_status_name, statusName)
        same(stpn_cell_init, cellInit)
        same(stpn_cell_init_named, cellInitNamed)
        same(stpn_cell_set_name, cellSetName)
        same(stpn_cell_set_number, cellSetNumber)
        same(stpn_cell_check, cellCheck)
        same(stpn_parameter_count, parameterCount)
        same(stpn_state_count, stateCount)
        same(stpn_parameter, parameter)
        same(stpn_state, state)
        same(stpn_tape_size, tapeSize)
        same(stpn_workspace_size, workspaceSize)
        same(stpn_forward, forward)
        same(stpn_backward, backward)
        same(stpn_step, step)
        same(stpn_get_num_threads, getNumThreads)
        same(stpn_set_num_threads, setNumThreads)
        same(stpn_implementation_name, implementationName)
        same(stpn_implementation_available, implementationAvailable)
        same(stpn_best_implementation, bestImplementation)
    }

    @Test func versions() {
        #expect(stpn_version_number() == STPN_VERSION_MAJOR * 10000 + STPN_VERSION_MINOR * 100 + STPN_VERSION_PATCH)
        #expect(String(cString: stpn_version_string()) == STPN_VERSION_STRING)
    }

    @Test func enumerationsAreTheHeaders() {
        #expect(NumberType.float32.rawValue == Int32(STPN_FLOAT32))
        #expect(NumberType.float64.rawValue == Int32(STPN_FLOAT64))
        #expect(STPN.Normalize.none.rawValue == Int32(STPN_NORMALIZE_NONE))
        #expect(STPN.Normalize.output.rawValue == Int32(STPN_NORMALIZE_OUTPUT))
        #expect(STPN.Normalize.pre.rawValue == Int32(STPN_NORMALIZE_PRE))
        #expect(STPN.Normalize.post.rawValue == Int32(STPN_NORMALIZE_POST))
        #expect(Implementation.plain.rawValue == Int32(STPN_PLAIN))
        #expect(Implementation.baseline.rawValue == Int32(STPN_BASELINE))
        #expect(Implementation.x86_64_v3.rawValue == Int32(STPN_X86_64_V3))
        #expect(Implementation.x86_64_v4.rawValue == Int32(STPN_X86_64_V4))
        #expect(Failure.Status.null.rawValue == Int32(STPN_ERROR_NULL))
        #expect(Failure.Status.structSize.rawValue == Int32(STPN_ERROR_STRUCT_SIZE))
        #expect(Failure.Status.option.rawValue == Int32(STPN_ERROR_OPTION))
        #expect(Failure.Status.size.rawValue == Int32(STPN_ERROR_SIZE))
        #expect(Failure.Status.alignment.rawValue == Int32(STPN_ERROR_ALIGNMENT))
        #expect(Failure.Status.overlap.rawValue == Int32(STPN_ERROR_OVERLAP))
        #expect(Failure.Status.tape.rawValue == Int32(STPN_ERROR_TAPE))
        #expect(Failure.Status.workspace.rawValue == Int32(STPN_ERROR_WORKSPACE))
        #expect(Failure.Status.implementation.rawValue == Int32(STPN_ERROR_IMPLEMENTATION))
        #expect(Job.Pass.forward.rawValue == Int32(STPN_PASS_FORWARD))
        #expect(Job.Pass.backward.rawValue == Int32(STPN_PASS_BACKWARD))
        #expect(Job.Pass.step.rawValue == Int32(STPN_PASS_STEP))
    }
}
