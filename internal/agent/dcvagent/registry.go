package dcvagent

import "strings"

// registryRoot is where DCV on Windows keeps its parameters, below HKEY_USERS.
const registryRoot = `S-1-5-18\Software\GSettings\com\nicesoftware\dcv\`

// registryValue is one setting as Windows stores it: text, or else a number.
type registryValue struct {
	path, name string
	text       *string
	number     uint32
	live       bool
}

// registryValues are the settings for Windows: what is a text there, is REG_SZ, all else REG_DWORD.
func registryValues(settings []setting) []registryValue {
	out := make([]registryValue, 0, len(settings))
	for _, s := range settings {
		v := registryValue{path: registryRoot + strings.ReplaceAll(s.section, "/", `\`), name: s.key, live: s.live}
		switch value := s.value.(type) {
		case string:
			v.text = &value
		case int:
			v.number = uint32(value)
		case bool:
			if value {
				v.number = 1
			}
		}
		out = append(out, v)
	}
	return out
}
