import CPlatform
import CSTPN

// The functions that stpn.h declares and documents. Each checks and calls; none computes.

typealias ErrorPointer = UnsafeMutablePointer<stpn_error>
typealias CString = UnsafePointer<CChar>

/// A literal as a C string: it ends with a zero byte and is never freed.
private func cString(_ text: StaticString) -> CString {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

// MARK: Versions and statuses

@_cdecl("stpn_version_number")
func versionNumber() -> Int32 { stpn_platform_version_number() }

@_cdecl("stpn_version_string")
func versionString() -> CString { stpn_platform_version_string() }

@_cdecl("stpn_status_name")
func statusName(_ status: Int32) -> CString {
    if status == 0 { return cString("STPN_OK") }
    switch Failure.Status(rawValue: status) {
    case .null: return cString("STPN_ERROR_NULL")
    case .structSize: return cString("STPN_ERROR_STRUCT_SIZE")
    case .option: return cString("STPN_ERROR_OPTION")
    case .size: return cString("STPN_ERROR_SIZE")
    case .alignment: return cString("STPN_ERROR_ALIGNMENT")
    case .overlap: return cString("STPN_ERROR_OVERLAP")
    case .tape: return cString("STPN_ERROR_TAPE")
    case .workspace: return cString("STPN_ERROR_WORKSPACE")
    case .implementation: return cString("STPN_ERROR_IMPLEMENTATION")
    case nil: return cString("unknown status")
    }
}

// MARK: The description of a cell

private func required<T>(_ name: String, _ pointer: T?) throws(Failure) -> T {
    guard let pointer else { throw Failure(.null, name, "expected a pointer, got NULL") }
    return pointer
}

@_cdecl("stpn_cell_init")
func cellInit(_ cell: UnsafeMutablePointer<stpn_cell>?, _ kind: Int32, _ error: ErrorPointer?) -> Int32 {
    report(error) { () throws(Failure) in
        try required("cell", cell).pointee = try stpn_cell(kind: kind)
    }
}

@_cdecl("stpn_cell_init_named")
func cellInitNamed(_ cell: UnsafeMutablePointer<stpn_cell>?, _ name: CString?, _ error: ErrorPointer?) -> Int32 {
    report(error) { () throws(Failure) in
        try required("cell", cell).pointee = try stpn_cell(name: try required("name", name))
    }
}

@_cdecl("stpn_cell_set_name")
func cellSetName(
    _ cell: UnsafeMutablePointer<stpn_cell>?, _ option: CString?, _ value: CString?, _ error: ErrorPointer?
) -> Int32 {
    report(error) { () throws(Failure) in
        var changed = try checked(UnsafePointer(cell), "cell")
        try changed.set(try required("option", option), name: value)
        cell?.pointee = changed
    }
}

@_cdecl("stpn_cell_set_number")
func cellSetNumber(
    _ cell: UnsafeMutablePointer<stpn_cell>?, _ option: CString?, _ value: Double, _ error: ErrorPointer?
) -> Int32 {
    report(error) { () throws(Failure) in
        var changed = try checked(UnsafePointer(cell), "cell")
        try changed.set(try required("option", option), number: value)
        cell?.pointee = changed
    }
}

@_cdecl("stpn_cell_check")
func cellCheck(_ cell: UnsafePointer<stpn_cell>?, _ error: ErrorPointer?) -> Int32 {
    report(error) { () throws(Failure) in _ = try checked(cell, "cell").checked() }
}

/// The number of arrays of a checked description, or minus the status of another.
private func count(_ cell: UnsafePointer<stpn_cell>?, _ arrays: (Cell.Summary) -> [ArrayInfo]) -> Int32 {
    do throws(Failure) {
        return Int32(arrays(try checked(cell, "cell").checked().0.summary).count)
    } catch {
        return -error.status.rawValue
    }
}

private func describe(
    _ cell: UnsafePointer<stpn_cell>?, _ index: Int32, _ array: UnsafeMutablePointer<stpn_array>?,
    _ error: ErrorPointer?, _ arrays: (Cell.Summary) -> [ArrayInfo]
) -> Int32 {
    report(error) { () throws(Failure) in
        let arrays = arrays(try checked(cell, "cell").checked().0.summary)
        _ = try checked(UnsafePointer(array), "array")
        guard arrays.indices.contains(Int(index)) else {
            throw Failure(.size, "index", "expected 0 to \(arrays.count - 1), got \(index)")
        }
        array?.pointee.describe(arrays[Int(index)])
    }
}

@_cdecl("stpn_parameter_count")
func parameterCount(_ cell: UnsafePointer<stpn_cell>?) -> Int32 { count(cell) { $0.parameters } }

@_cdecl("stpn_state_count")
func stateCount(_ cell: UnsafePointer<stpn_cell>?) -> Int32 { count(cell) { $0.states } }

@_cdecl("stpn_parameter")
func parameter(
    _ cell: UnsafePointer<stpn_cell>?, _ index: Int32, _ array: UnsafeMutablePointer<stpn_array>?,
    _ error: ErrorPointer?
) -> Int32 { describe(cell, index, array, error) { $0.parameters } }

@_cdecl("stpn_state")
func state(
    _ cell: UnsafePointer<stpn_cell>?, _ index: Int32, _ array: UnsafeMutablePointer<stpn_array>?,
    _ error: ErrorPointer?
) -> Int32 { describe(cell, index, array, error) { $0.states } }

// MARK: Sizes

@_cdecl("stpn_tape_size")
func tapeSize(
    _ cell: UnsafePointer<stpn_cell>?, _ run: UnsafePointer<stpn_run>?, _ bytes: UnsafeMutablePointer<Int>?,
    _ error: ErrorPointer?
) -> Int32 {
    report(error) { () throws(Failure) in
        let size = try Call(cell, run).measure(.measureTape)
        try required("bytes", bytes).pointee = size
    }
}

@_cdecl("stpn_workspace_size")
func workspaceSize(
    _ cell: UnsafePointer<stpn_cell>?, _ run: UnsafePointer<stpn_run>?, _ pass: Int32,
    _ bytes: UnsafeMutablePointer<Int>?, _ error: ErrorPointer?
) -> Int32 {
    report(error) { () throws(Failure) in
        let call = try Call(cell, run)
        guard let pass = Job.Pass(rawValue: pass) else {
            throw Failure(.option, "pass", "expected one of STPN_PASS_… (1 to 3), got \(pass)")
        }
        let size = try call.measure(.measureWorkspace(pass))
        try required("bytes", bytes).pointee = size
    }
}

// MARK: Passes

@_cdecl("stpn_forward")
func forward(
    _ cell: UnsafePointer<stpn_cell>?, _ run: UnsafePointer<stpn_run>?,
    _ buffers: UnsafePointer<stpn_forward_buffers>?, _ error: ErrorPointer?
) -> Int32 { report(error) { () throws(Failure) in try Call(cell, run).forward(buffers) } }

@_cdecl("stpn_backward")
func backward(
    _ cell: UnsafePointer<stpn_cell>?, _ run: UnsafePointer<stpn_run>?,
    _ buffers: UnsafePointer<stpn_backward_buffers>?, _ error: ErrorPointer?
) -> Int32 { report(error) { () throws(Failure) in try Call(cell, run).backward(buffers) } }

@_cdecl("stpn_step")
func step(
    _ cell: UnsafePointer<stpn_cell>?, _ run: UnsafePointer<stpn_run>?,
    _ buffers: UnsafePointer<stpn_step_buffers>?, _ error: ErrorPointer?
) -> Int32 { report(error) { () throws(Failure) in try Call(cell, run).step(buffers) } }

// MARK: Threads and implementations

@_cdecl("stpn_get_num_threads")
func getNumThreads() -> Int32 { stpn_platform_get_num_threads() }

@_cdecl("stpn_set_num_threads")
func setNumThreads(_ threads: Int32, _ error: ErrorPointer?) -> Int32 {
    report(error) { () throws(Failure) in
        let most = stpn_platform_max_threads()
        guard (1...most).contains(threads) else {
            throw Failure(.size, "threads", "expected 1 to \(most), got \(threads)")
        }
        stpn_platform_set_num_threads(threads)
    }
}

@_cdecl("stpn_implementation_name")
func implementationName(_ implementation: Int32) -> CString? {
    Implementation(rawValue: implementation).map { cString($0.name) }
}

@_cdecl("stpn_implementation_available")
func implementationAvailable(_ implementation: Int32) -> Int32 {
    Implementation(rawValue: implementation)?.isAvailable == true ? 1 : 0
}

@_cdecl("stpn_best_implementation")
func bestImplementation() -> Int32 {
    do throws(Failure) { return try Implementation.best().rawValue } catch { return 0 }
}
