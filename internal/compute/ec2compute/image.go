package ec2compute

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// image is what is known of one.
type image struct {
	device string // what it calls its disk
	err    error
}

// device is what the image calls its disk. Images do not change, so each is looked up once, whoever else asks meanwhile.
func (p *Provider) device(ctx context.Context, id string) (string, error) {
	if known, ok := p.known(id); ok {
		return known, nil
	}
	found, err := p.images.do(ctx, id)
	if err == nil {
		err = found[id].err
	}
	if err != nil {
		return "", fmt.Errorf("look up the image: %w", err)
	}
	return found[id].device, nil
}

func (p *Provider) known(id string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	device, ok := p.devices[id]
	return device, ok
}

// lookUp asks for each image by itself: one that does not exist would fail all.
func (p *Provider) lookUp(ctx context.Context, ids []string) (map[string]image, error) {
	out := map[string]image{}
	for _, id := range ids {
		if _, done := out[id]; done {
			continue
		}
		device, ok := p.known(id)
		var err error
		if !ok {
			device, err = p.askDevice(ctx, id)
		}
		out[id] = image{device, err}
	}
	return out, nil
}

func (p *Provider) askDevice(ctx context.Context, id string) (string, error) {
	var answer *ec2.DescribeImagesOutput
	err := p.describes.call(ctx, 1, func(ctx context.Context) (err error) {
		answer, err = p.api.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
		return err
	})
	if err != nil {
		return "", err
	}
	if len(answer.Images) == 0 {
		return "", noImage(id)
	}
	device := cmp.Or(aws.ToString(answer.Images[0].RootDeviceName), "/dev/sda1")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.devices[id] = device
	return device, nil
}
