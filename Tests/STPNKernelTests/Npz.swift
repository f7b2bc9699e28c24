import Foundation

/// Reads NumPy's .npz files as `np.savez` writes them: a zip archive of .npy files, stored without compression.
struct Npz {
    struct Array {
        let shape: [Int]
        let type: String
        let bytes: Data

        /// The elements of an array of float64.
        var doubles: [Double] {
            precondition(type == "<f8", "expected <f8, got \(type)")
            return bytes.withUnsafeBytes { raw in
                (0..<raw.count / 8).map { raw.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
            }
        }

        /// The one string of an array of Unicode strings.
        var string: String {
            precondition(type.hasPrefix("<U"), "expected <U, got \(type)")
            let scalars = bytes.withUnsafeBytes { raw in
                (0..<raw.count / 4).compactMap {
                    Unicode.Scalar(raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
                }
            }
            return String(String.UnicodeScalarView(scalars.filter { $0.value != 0 }))
        }
    }

    let arrays: [String: Array]

    init(contentsOf url: URL) throws {
        let data = try Data(contentsOf: url)
        let end = data.lastRange(of: Data([0x50, 0x4b, 0x05, 0x06]))!.lowerBound
        var entry = Int(data.number(UInt32.self, end + 16))
        var arrays: [String: Array] = [:]
        for _ in 0..<Int(data.number(UInt16.self, end + 10)) {
            precondition(data.number(UInt16.self, entry + 10) == 0, "\(url.lastPathComponent) is compressed")
            let nameLength = Int(data.number(UInt16.self, entry + 28))
            let name = String(decoding: data[entry + 46..<entry + 46 + nameLength], as: UTF8.self)
            let local = Int(data.number(UInt32.self, entry + 42))
            let start =
                local + 30 + Int(data.number(UInt16.self, local + 26)) + Int(data.number(UInt16.self, local + 28))
            let size = Int(data.number(UInt32.self, entry + 24))
            arrays[String(name.dropLast(4))] = Self.npy(data[start..<start + size])
            entry +=
                46 + nameLength + Int(data.number(UInt16.self, entry + 30))
                + Int(data.number(UInt16.self, entry + 32))
        }
        self.arrays = arrays
    }

    /// The header of a .npy file is a Python dictionary: {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
    private static func npy(_ data: Data) -> Array {
        let data = Data(data)
        let length = Int(data.number(UInt16.self, 8))
        let header = String(decoding: data[10..<10 + length], as: UTF8.self)
        precondition(header.contains("'fortran_order': False"))
        let type = header.firstMatch(of: /'descr': '([^']+)'/)!.1
        let shape = header.firstMatch(of: /'shape': \(([^)]*)\)/)!.1
        return Array(
            shape: shape.split(separator: ",").compactMap { Int($0.trimmingCharacters(in: .whitespaces)) },
            type: String(type), bytes: data[(10 + length)...])
    }
}

extension Data {
    fileprivate func number<T: FixedWidthInteger>(_: T.Type, _ offset: Int) -> T {
        withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }
}
