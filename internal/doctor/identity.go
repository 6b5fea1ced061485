package doctor

import (
	"fmt"
	"slices"
	"time"

	"greenroom"
	"greenroom/internal/awsidentity"
)

// early is how long before their end AWS's certificates should be replaced: nothing does it by itself.
const early = 90 * 24 * time.Hour

// identity looks at AWS's certificates of instance identity documents. They come from a file, since they differ by region and
// only the operator knows which are in use.
func (c Certificates) identity(now time.Time) Finding {
	f := Finding{Check: "AWS's certificates of identity documents"}
	certs, err := c.Identity()
	if err != nil {
		f.Detail = greenroom.Sentence(err, err.Error())
		f.Fix = "copy the RSA-2048 certificates of your regions from " + awsidentity.Published + " into one file, one after the other, and name it in identity_certificates"
		return f
	}
	var ends []time.Time
	over, near := 0, 0
	for _, cert := range certs {
		ends = append(ends, cert.NotAfter)
		switch left := cert.NotAfter.Sub(now); {
		case left <= 0:
			over++
		case left < early:
			near++
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	f.Detail = fmt.Sprintf("%d in the file; the first ends on %s", len(certs), ends[0].UTC().Format(time.DateOnly))
	fix := "take the new ones from " + awsidentity.Published + "; the server reads the file again by itself"
	switch {
	case over == len(certs):
		f.Detail, f.Fix = f.Detail+"; all have expired, so no desktop on EC2 can enrol", fix
	case over > 0:
		f.Note, f.Detail, f.Fix = true, fmt.Sprintf("%s; %d have expired", f.Detail, over), fix
	case near > 0:
		f.Note, f.Detail, f.Fix = true, fmt.Sprintf("%s; %d end soon", f.Detail, near), fix
	default:
		f.OK = true
	}
	return f
}
