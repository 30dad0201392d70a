package lb

import "unsafe"

// Values as they lie in memory: addresses and lengths of 32 bits, whatever a pointer of Go's is.

// What the host was given memory for in this call.
var handed [][]uint64

//go:wasmexport cabi_realloc
func realloc(_ unsafe.Pointer, _, _, size uint32) unsafe.Pointer {
	words := make([]uint64, size/8+1)
	handed = append(handed, words)
	return unsafe.Pointer(&words[0])
}

func release() { handed = handed[:0] }

func word(at unsafe.Pointer, offset uintptr) uint32 { return *(*uint32)(unsafe.Add(at, offset)) }

func flag(at unsafe.Pointer, offset uintptr) bool { return *(*uint8)(unsafe.Add(at, offset)) != 0 }

func readList(at unsafe.Pointer) (unsafe.Pointer, int) {
	return unsafe.Pointer(uintptr(word(at, 0))), int(word(at, 4))
}

func readText(at unsafe.Pointer) string {
	bytes, length := readList(at)
	return string(unsafe.Slice((*byte)(bytes), length))
}

func readOption(at unsafe.Pointer) (string, bool) {
	if !flag(at, 0) {
		return "", false
	}
	return readText(unsafe.Add(at, 4)), true
}

func readTexts(at unsafe.Pointer) []string {
	items, length := readList(at)
	texts := make([]string, length)
	for i := range texts {
		texts[i] = readText(unsafe.Add(items, i*8))
	}
	return texts
}

func readSettings(at unsafe.Pointer, length uint32) map[string]Value {
	settings := make(map[string]Value, length)
	for range length {
		value, field := Value{}, unsafe.Add(at, 16)
		switch *(*uint8)(unsafe.Add(at, 8)) {
		case 0:
			value.Text = readText(field)
		case 1:
			value.Integer = *(*int64)(field)
		case 2:
			value.Number = *(*float64)(field)
		case 3:
			value.Boolean = flag(field, 0)
		default:
			value.Texts = readTexts(field)
		}
		settings[readText(at)] = value
		at = unsafe.Add(at, 24)
	}
	return settings
}

func readServers(at unsafe.Pointer, length uint32) []Server {
	servers := make([]Server, length)
	for i := range servers {
		server := Server{Name: readText(at), Address: readText(unsafe.Add(at, 8)), Weight: word(at, 16)}
		server.Cookie, _ = readOption(unsafe.Add(at, 20))
		labels, count := readList(unsafe.Add(at, 32))
		server.Labels = make(map[string]string, count)
		for j := range count {
			label := unsafe.Add(labels, j*16)
			server.Labels[readText(label)] = readText(unsafe.Add(label, 8))
		}
		servers[i] = server
		at = unsafe.Add(at, 40)
	}
	return servers
}

// An answer being written. What it points to must live until the host has read it, so it is kept.
type page struct {
	words []uint64
	kept  [][]byte
	pages []*page
}

func newPage(size int) *page { return &page{words: make([]uint64, size/8+1)} }

func (p *page) at(offset int) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(&p.words[0]), offset) }

func (p *page) word(offset int, value uint32) { *(*uint32)(p.at(offset)) = value }

func (p *page) flag(offset int, value bool) {
	if value {
		*(*uint8)(p.at(offset)) = 1
	}
}

func (p *page) text(offset int, text string) {
	bytes := append([]byte(text), 0)
	p.kept = append(p.kept, bytes)
	p.word(offset, uint32(uintptr(unsafe.Pointer(&bytes[0]))))
	p.word(offset+4, uint32(len(text)))
}

func (p *page) list(offset, length, size int) *page {
	items := newPage(length * size)
	p.pages = append(p.pages, items)
	p.word(offset, uint32(uintptr(items.at(0))))
	p.word(offset+4, uint32(length))
	return items
}

func (p *page) texts(offset int, texts []string) {
	items := p.list(offset, len(texts), 8)
	for i, text := range texts {
		items.text(i*8, text)
	}
}

func (p *page) value(offset int, kind Kind, value *Value) {
	field := offset + 8
	tag := uint8(Integer)
	switch kind {
	case Text:
		tag = 0
		p.text(field, value.Text)
	case Number:
		tag = 2
		*(*float64)(p.at(field)) = value.Number
	case Boolean:
		tag = 3
		p.flag(field, value.Boolean)
	case Texts:
		tag = 4
		p.texts(field, value.Texts)
	default:
		*(*int64)(p.at(field)) = value.Integer
	}
	*(*uint8)(p.at(offset)) = tag
}

func writeDescription(description Description) *page {
	p := newPage(32)
	p.text(0, description.Name)
	p.text(8, description.Version)
	p.text(16, description.Summary)
	settings := p.list(24, len(description.Settings), 64)
	for i, setting := range description.Settings {
		at := i * 64
		settings.text(at, setting.Name)
		*(*uint8)(settings.at(at + 8)) = uint8(setting.Kind)
		if setting.Default != nil {
			settings.flag(at+16, true)
			settings.value(at+24, setting.Kind, setting.Default)
		}
		settings.flag(at+40, setting.Required)
		settings.texts(at+44, setting.Choices)
		settings.text(at+52, setting.Doc)
	}
	return p
}

func writeRefusal(refusal *Refusal) *page {
	p := newPage(24)
	if refusal != nil {
		p.flag(0, true)
		p.flag(4, refusal.Setting != "")
		p.text(8, refusal.Setting)
		p.text(16, refusal.Message)
	}
	return p
}
