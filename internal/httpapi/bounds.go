package httpapi

import (
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// publishNulls documents the references that can be null, which huma cannot say.
func publishNulls(h huma.API) {
	for _, of := range [][2]string{{"Seat", "session_data"}, {"Desktop", "proof"}, {"Desktop", "agent"}} {
		property, p := of[1], h.OpenAPI().Components.Schemas.Map()[of[0]].Properties
		p[property] = &huma.Schema{Description: p[property].Description, AnyOf: []*huma.Schema{{Ref: p[property].Ref}, {Type: "null"}}}
	}
}

// maxSeatList is how many seats a request may name, in the schema: max_seats bounds them as it is configured.
const maxSeatList = 1000

// publishOptional documents that null is as good as absent where a property of the input is optional: huma takes it so.
func publishOptional(h huma.API) {
	for _, name := range []string{"Schedule", "SeatInput", "EditSeat", "NewSeats", "SeatEdit", "Replace", "NewLink", "Edit", "Park"} {
		s := h.OpenAPI().Components.Schemas.Map()[name]
		for property, of := range s.Properties {
			if !slices.Contains(s.Required, property) && of.Ref == "" && of.Type != "" { // without a type it takes null already
				of.Nullable = true
				if len(of.Enum) > 0 {
					of.Enum = append(of.Enum, nil)
				}
			}
		}
	}
}

// publishBounds documents the bounds of the input. Package meetings judges them, all at once and in its
// words; as extensions of the schema they are published without huma enforcing them first.
func publishBounds(h huma.API) {
	for _, b := range []struct {
		schema, property, bound string
		value                   any
	}{
		{"Schedule", "title", "minLength", 1},
		{"Schedule", "title", "maxLength", 200},
		{"Schedule", "seats", "minItems", 1},
		{"Schedule", "seats", "maxItems", maxSeatList},
		{"Edit", "title", "minLength", 1},
		{"Edit", "title", "maxLength", 200},
		{"Edit", "seats", "minItems", 1},
		{"Edit", "seats", "maxItems", maxSeatList},
		{"SeatInput", "id", "pattern", "^([a-z][a-z0-9-]{0,31})?$"},
		{"SeatInput", "role", "pattern", "^[a-z][a-z0-9-]{0,31}$"},
		{"SeatInput", "name", "maxLength", 100},
		{"SeatInput", "email", "maxLength", 254},
		{"EditSeat", "id", "pattern", "^([a-z][a-z0-9-]{0,31})?$"},
		{"EditSeat", "role", "pattern", "^[a-z][a-z0-9-]{0,31}$"},
		{"EditSeat", "name", "maxLength", 100},
		{"EditSeat", "email", "maxLength", 254},
		{"NewSeats", "seats", "minItems", 1},
		{"NewSeats", "seats", "maxItems", maxSeatList},
		{"SeatEdit", "name", "maxLength", 100},
		{"SeatEdit", "email", "maxLength", 254},
		{"Replace", "reason", "minLength", 1},
		{"Replace", "reason", "maxLength", 200},
		{"Park", "reason", "maxLength", 200},
		{"SessionData", "url", "maxLength", 2048},
	} {
		p := h.OpenAPI().Components.Schemas.Map()[b.schema].Properties[b.property]
		if p.Extensions == nil {
			p.Extensions = map[string]any{}
		}
		p.Extensions[b.bound] = b.value
	}
}
