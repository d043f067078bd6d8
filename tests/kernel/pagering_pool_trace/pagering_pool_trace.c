// SPDX-License-Identifier: GPL-2.0
/*
 * Executes traces of page_pool operations, for tests only: the kernel as the
 * judge of a page pool that claims to behave like its own.
 *
 * Write a trace to /dev/pagering_pool_trace and read the answers from the same
 * open file. What the operations mean and how answers look is told in
 * tests/pool_trace/trace.py. The device is for a kernel with one CPU: a second
 * would make it a matter of chance which returns are direct.
 *
 * Nothing here checks that a trace is legal, no more than page_pool does. A
 * wrong one corrupts the memory of the kernel that runs it: use a guest.
 *
 * Written against Linux 7.3 (Debian 7.3.4-1), with CONFIG_PAGE_POOL_STATS.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/page_pool/helpers.h>
#include <net/page_pool/types.h>

#define POOLS		4
#define SLOTS		32768
#define NUMBERS		16
#define CHUNK		SZ_64K
#define ANSWER_MAX	1024
#define RESULT_MAX	64
#define ATOMIC		(GFP_ATOMIC | __GFP_NOWARN)

#define FLAG_MAP	1
#define FLAG_SYNC	2
#define FLAG_OWNER	4

struct session;

struct trace_slot {
	struct page *page;		/* NULL: empty */
	long references;
	struct trace_pool *pool;	/* NULL: a memory reference */
};

struct trace_pool {
	struct session *session;
	struct page_pool *pool;		/* NULL: none, or it is gone */
	unsigned int users;
	unsigned int slots;		/* that have a page of it */
	u32 entered;			/* pages so far */
	bool detached;
};

struct session {
	struct trace_pool pools[POOLS];
	struct trace_slot *slots;
	struct xarray serials;	/* by page frame: when the page entered its pool */
	char *answers;
	size_t used, size;
};

struct operation {
	const char *name;
	int numbers;		/* 0: one or more */
	int (*run)(struct session *s, const s64 *n, int count, char *result);
};

static struct platform_device *dma_device;
static DEFINE_MUTEX(session_lock);

/* Arguments: an illegal number is an error, an illegal order of calls is not found. */

static struct trace_pool *pool_of(struct session *s, s64 n)
{
	if (n < 0 || n >= POOLS || !s->pools[n].pool)
		return NULL;
	return &s->pools[n];
}

static struct trace_slot *full_slot(struct session *s, s64 n)
{
	if (n < 0 || n >= SLOTS || !s->slots[n].page)
		return NULL;
	return &s->slots[n];
}

static struct trace_slot *empty_slot(struct session *s, s64 n)
{
	if (n < 0 || n >= SLOTS || s->slots[n].page)
		return NULL;
	return &s->slots[n];
}

static void fill(struct trace_slot *slot, struct trace_pool *pool, struct page *page)
{
	slot->page = page;
	slot->pool = pool;
	slot->references = 1;
	if (pool)
		pool->slots++;
}

static void empty(struct trace_slot *slot)
{
	struct trace_pool *pool = slot->pool;

	slot->page = NULL;
	if (!pool)
		return;
	/* A detached pool may be freed as soon as its last page is back. */
	if (!--pool->slots && pool->detached)
		pool->pool = NULL;
}

static unsigned long serial(struct session *s, struct page *page)
{
	return xa_to_value(xa_load(&s->serials, page_to_pfn(page)));
}

/* Called by page_pool, with bottom halves disabled. */
static void page_enters(netmem_ref netmem, void *arg)
{
	struct page *page = netmem_to_page(netmem);
	struct trace_pool *p = arg;

	WARN_ON(xa_err(xa_store(&p->session->serials, page_to_pfn(page),
				xa_mk_value(++p->entered), GFP_ATOMIC)));
}

/* Pools */

static int do_create(struct session *s, const s64 *n, int count, char *result)
{
	struct page_pool_params params = {
		.order = n[1],
		.pool_size = n[2],
		.nid = n[3],
		.dev = &dma_device->dev,
		.dma_dir = DMA_FROM_DEVICE,
		.max_len = PAGE_SIZE << n[1],
		.init_callback = page_enters,
	};
	struct page_pool *pool;
	struct trace_pool *p;

	if (n[0] < 0 || n[0] >= POOLS || s->pools[n[0]].pool)
		return -EINVAL;
	p = &s->pools[n[0]];
	params.init_arg = p;
	if (n[4] & FLAG_MAP)
		params.flags |= PP_FLAG_DMA_MAP;
	if (n[4] & FLAG_SYNC)
		params.flags |= PP_FLAG_DMA_SYNC_DEV;
	pool = page_pool_create_percpu(&params, n[4] & FLAG_OWNER ? 0 : -1);
	if (IS_ERR(pool)) {
		snprintf(result, RESULT_MAX, "refused %ld", PTR_ERR(pool));
		return 0;
	}
	p->pool = pool;
	p->session = s;
	p->users = 1;
	p->slots = 0;
	p->detached = false;
	return 0;
}

static int do_nid(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_pool *p = pool_of(s, n[0]);

	if (!p)
		return -EINVAL;
	local_bh_disable();
	page_pool_update_nid(p->pool, n[1]);
	local_bh_enable();
	return 0;
}

static int do_user(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_pool *p = pool_of(s, n[0]);

	if (!p)
		return -EINVAL;
	page_pool_get(p->pool);
	p->users++;
	return 0;
}

static s32 inflight(const struct page_pool *pool)
{
	return pool->pages_state_hold_cnt - atomic_read(&pool->pages_state_release_cnt);
}

static int do_destroy(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_pool *p = pool_of(s, n[0]);
	struct page_pool *pool;

	if (!p || p->detached)
		return -EINVAL;
	pool = p->pool;
	if (--p->users) {
		page_pool_destroy(pool);
		strscpy(result, "users", RESULT_MAX);
	} else if (p->slots) {
		p->detached = true;
		page_pool_destroy(pool);
		snprintf(result, RESULT_MAX, "left %d", inflight(pool));
	} else {
		p->pool = NULL;
		page_pool_destroy(pool);
		strscpy(result, "gone", RESULT_MAX);
	}
	return 0;
}

/* Runs the attempt that is due in a second now. With pages out the pool cannot be freed by it. */
static int do_tick(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_pool *p = pool_of(s, n[0]);

	if (!p || !p->detached || !p->slots)
		return -EINVAL;
	flush_delayed_work(&p->pool->release_dw);
	snprintf(result, RESULT_MAX, "left %d", inflight(p->pool));
	return 0;
}

/* Allocation */

static struct page *alloc(struct trace_pool *p)
{
	struct page *page;

	local_bh_disable();
	page = page_pool_alloc_pages(p->pool, ATOMIC);
	local_bh_enable();
	return page;
}

static int do_alloc(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = empty_slot(s, n[1]);
	struct trace_pool *p = pool_of(s, n[0]);
	struct page *page;

	if (!p || p->detached || !slot)
		return -EINVAL;
	page = alloc(p);
	if (!page) {
		strscpy(result, "none", RESULT_MAX);
		return 0;
	}
	fill(slot, p, page);
	snprintf(result, RESULT_MAX, "%lu", serial(s, page));
	return 0;
}

static int do_allocs(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_pool *p = pool_of(s, n[0]);
	u32 seen = 0;
	int got;

	if (!p || p->detached)
		return -EINVAL;
	for (got = 0; got < n[2]; got++) {
		struct trace_slot *slot = empty_slot(s, n[1] + got);
		struct page *page;

		if (!slot)
			return -EINVAL;
		page = alloc(p);
		if (!page)
			break;
		fill(slot, p, page);
		seen = seen * 31 + serial(s, page);
	}
	snprintf(result, RESULT_MAX, "%d %u", got, seen);
	return 0;
}

static int cut(struct session *s, const s64 *n, bool fit, char *result)
{
	struct trace_slot *slot = empty_slot(s, n[1]);
	struct trace_pool *p = pool_of(s, n[0]);
	unsigned int offset = 0, size = n[2];
	struct page *page;

	if (!p || p->detached || !slot)
		return -EINVAL;
	local_bh_disable();
	page = fit ? page_pool_alloc(p->pool, &offset, &size, ATOMIC)
		   : page_pool_alloc_frag(p->pool, &offset, size, ATOMIC);
	local_bh_enable();
	if (!page) {
		strscpy(result, "none", RESULT_MAX);
		return 0;
	}
	fill(slot, p, page);
	if (fit)
		snprintf(result, RESULT_MAX, "%lu %u %u", serial(s, page), offset, size);
	else
		snprintf(result, RESULT_MAX, "%lu %u", serial(s, page), offset);
	return 0;
}

static int do_frag(struct session *s, const s64 *n, int count, char *result)
{
	return cut(s, n, false, result);
}

static int do_fit(struct session *s, const s64 *n, int count, char *result)
{
	return cut(s, n, true, result);
}

/* References */

static int do_ref(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]), *target = empty_slot(s, n[1]);

	if (!slot || !slot->pool || !target)
		return -EINVAL;
	page_pool_ref_page(slot->page);
	fill(target, slot->pool, slot->page);
	return 0;
}

static int do_fragment(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]);

	if (!slot || !slot->pool || n[1] < 1)
		return -EINVAL;
	page_pool_fragment_page(slot->page, n[1]);
	slot->references = n[1];
	return 0;
}

static int do_split(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]), *target = empty_slot(s, n[1]);

	if (!slot || !slot->pool || slot->references < 2 || !target)
		return -EINVAL;
	slot->references--;
	fill(target, slot->pool, slot->page);
	return 0;
}

static int do_twice(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]), *target = empty_slot(s, n[1]);

	if (!slot || !slot->pool || !target)
		return -EINVAL;
	fill(target, slot->pool, slot->page);
	return 0;
}

static int do_forget(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]);

	if (!slot)
		return -EINVAL;
	empty(slot);
	return 0;
}

static int do_hold(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]), *target = empty_slot(s, n[1]);

	if (!slot || !target)
		return -EINVAL;
	get_page(slot->page);
	fill(target, NULL, slot->page);
	return 0;
}

static int do_drop(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]);

	if (!slot || slot->pool)
		return -EINVAL;
	put_page(slot->page);
	empty(slot);
	return 0;
}

/* Returns */

static int put(struct session *s, s64 at, s64 size, bool direct)
{
	struct trace_slot *slot = full_slot(s, at);

	if (!slot || !slot->pool || slot->references != 1)
		return -EINVAL;
	local_bh_disable();
	page_pool_put_page(slot->pool->pool, slot->page, size, direct);
	local_bh_enable();
	empty(slot);
	return 0;
}

static int do_put(struct session *s, const s64 *n, int count, char *result)
{
	return put(s, n[0], n[1], n[2]);
}

static int do_puts(struct session *s, const s64 *n, int count, char *result)
{
	int i, err = 0;

	for (i = 0; i < n[1] && !err; i++)
		err = put(s, n[0] + i, n[2], n[3]);
	return err;
}

static int do_bulk(struct session *s, const s64 *n, int count, char *result)
{
	netmem_ref data[NUMBERS];
	int i;

	for (i = 0; i < count; i++) {
		struct trace_slot *slot = full_slot(s, n[i]);

		if (!slot || !slot->pool || slot->references != 1)
			return -EINVAL;
		data[i] = page_to_netmem(slot->page);
	}
	local_bh_disable();
	page_pool_put_netmem_bulk(data, count);
	local_bh_enable();
	for (i = 0; i < count; i++)
		empty(&s->slots[n[i]]);
	return 0;
}

static int do_unref(struct session *s, const s64 *n, int count, char *result)
{
	struct trace_slot *slot = full_slot(s, n[0]);
	long left;

	if (!slot || !slot->pool)
		return -EINVAL;
	local_bh_disable();
	left = page_pool_unref_page(slot->page, slot->references);
	if (!left)
		page_pool_put_unrefed_page(slot->pool->pool, slot->page, n[1], n[2]);
	local_bh_enable();
	empty(slot);
	snprintf(result, RESULT_MAX, "%ld", left);
	return 0;
}

static const struct operation operations[] = {
	{ "create", 5, do_create },
	{ "nid", 2, do_nid },
	{ "user", 1, do_user },
	{ "destroy", 1, do_destroy },
	{ "tick", 1, do_tick },
	{ "alloc", 2, do_alloc },
	{ "allocs", 3, do_allocs },
	{ "frag", 3, do_frag },
	{ "fit", 3, do_fit },
	{ "ref", 2, do_ref },
	{ "fragment", 2, do_fragment },
	{ "split", 2, do_split },
	{ "twice", 2, do_twice },
	{ "forget", 1, do_forget },
	{ "hold", 2, do_hold },
	{ "drop", 1, do_drop },
	{ "put", 3, do_put },
	{ "puts", 4, do_puts },
	{ "bulk", 0, do_bulk },
	{ "unref", 3, do_unref },
};

/* Answers */

static u32 ring_count(const struct ptr_ring *ring)
{
	int waiting = ring->producer - ring->consumer_head;

	if (!ring->queue[ring->consumer_head])
		return 0;
	return waiting > 0 ? waiting : waiting + ring->size;
}

static int counters(const struct trace_pool *p, char *to, size_t room)
{
	struct page_pool_stats stats = { };
	const struct page_pool_alloc_stats *a = &stats.alloc_stats;
	const struct page_pool_recycle_stats *r = &stats.recycle_stats;
	int n;

	page_pool_get_stats(p->pool, &stats);
	n = scnprintf(to, room, " | %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu",
		      a->fast, a->slow, a->slow_high_order, a->empty, a->refill, a->waive,
		      r->cached, r->cache_full, r->ring, r->ring_full, r->released_refcnt);
	if (!p->detached)
		n += scnprintf(to + n, room - n, " %d %u %u", inflight(p->pool),
			       p->pool->alloc.count, ring_count(&p->pool->ring));
	return n;
}

static int answer(struct session *s, const char *line, const char *result)
{
	size_t start = s->used;
	int i;

	if (s->size - s->used < ANSWER_MAX) {
		size_t size = max(2 * s->size, (size_t)CHUNK);
		char *larger = kvmalloc(size, GFP_KERNEL);

		if (!larger)
			return -ENOMEM;
		if (s->used)
			memcpy(larger, s->answers, s->used);
		kvfree(s->answers);
		s->answers = larger;
		s->size = size;
	}
	s->used += scnprintf(s->answers + start, ANSWER_MAX, "%s = %s", line, result);
	for (i = 0; i < POOLS; i++)
		if (s->pools[i].pool)
			s->used += counters(&s->pools[i], s->answers + s->used,
					    ANSWER_MAX - 1 - (s->used - start));
	s->answers[s->used++] = '\n';
	return 0;
}

static int execute(struct session *s, char *line)
{
	char echo[256], result[RESULT_MAX] = "ok";
	const struct operation *op;
	s64 numbers[NUMBERS];
	char *word, *rest;
	int i, count = 0, err;

	rest = strim(strsep(&line, "#"));
	if (!*rest)
		return 0;
	strscpy(echo, rest, sizeof(echo));
	word = strsep(&rest, " ");
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		if (!strcmp(word, operations[i].name))
			break;
	if (i == ARRAY_SIZE(operations))
		return -EINVAL;
	op = &operations[i];
	while ((word = strsep(&rest, " "))) {
		if (count == NUMBERS || kstrtos64(word, 10, &numbers[count]))
			return -EINVAL;
		count++;
	}
	if (op->numbers ? count != op->numbers : !count)
		return -EINVAL;
	err = op->run(s, numbers, count, result);
	if (err) {
		pr_err("%s: error %d\n", echo, err);
		return err;
	}
	return answer(s, echo, result);
}

/* The device */

static ssize_t trace_write(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	struct session *s = file->private_data;
	char *text, *at, *newline;
	ssize_t done;
	int err = 0;

	size = min_t(size_t, size, CHUNK);
	text = memdup_user_nul(from, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&session_lock);
	for (at = text; !err && (newline = strchr(at, '\n')); at = newline + 1) {
		*newline = '\0';
		err = execute(s, at);
		cond_resched();
	}
	mutex_unlock(&session_lock);
	done = at - text;	/* what follows the last newline is written again by the caller */
	kfree(text);
	return err ?: done ?: -EINVAL;
}

static ssize_t trace_read(struct file *file, char __user *to, size_t size, loff_t *pos)
{
	struct session *s = file->private_data;
	ssize_t done;

	mutex_lock(&session_lock);
	done = simple_read_from_buffer(to, size, pos, s->answers, s->used);
	mutex_unlock(&session_lock);
	return done;
}

static int trace_open(struct inode *inode, struct file *file)
{
	struct session *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	s->slots = kvcalloc(SLOTS, sizeof(*s->slots), GFP_KERNEL);
	if (!s->slots) {
		kfree(s);
		return -ENOMEM;
	}
	xa_init(&s->serials);
	file->private_data = s;
	return 0;
}

static int trace_release(struct inode *inode, struct file *file)
{
	struct session *s = file->private_data;
	int i;

	/* A trace that was cut short leaves pages behind: give them back. */
	for (i = 0; i < SLOTS; i++) {
		struct trace_slot *slot = &s->slots[i];

		if (!slot->page)
			continue;
		if (slot->pool && !page_pool_unref_page(slot->page, slot->references))
			page_pool_put_unrefed_page(slot->pool->pool, slot->page, -1, false);
		else if (!slot->pool)
			put_page(slot->page);
		empty(slot);
	}
	for (i = 0; i < POOLS; i++)
		while (s->pools[i].pool && s->pools[i].users--)
			page_pool_destroy(s->pools[i].pool);
	xa_destroy(&s->serials);
	kvfree(s->answers);
	kvfree(s->slots);
	kfree(s);
	return 0;
}

static const struct file_operations trace_fops = {
	.owner = THIS_MODULE,
	.open = trace_open,
	.read = trace_read,
	.write = trace_write,
	.release = trace_release,
};

static struct miscdevice trace_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &trace_fops,
	.mode = 0600,
};

static int __init trace_init(void)
{
	int err;

	if (num_online_cpus() != 1) {
		pr_err("needs a kernel with one CPU online, not %u\n", num_online_cpus());
		return -EINVAL;
	}
	dma_device = platform_device_register_simple(KBUILD_MODNAME, PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(dma_device))
		return PTR_ERR(dma_device);
	err = dma_coerce_mask_and_coherent(&dma_device->dev, DMA_BIT_MASK(64));
	if (!err)
		err = misc_register(&trace_device);
	if (err)
		platform_device_unregister(dma_device);
	return err;
}

static void __exit trace_exit(void)
{
	misc_deregister(&trace_device);
	platform_device_unregister(dma_device);
}

module_init(trace_init);
module_exit(trace_exit);

MODULE_DESCRIPTION("Executes traces of page_pool operations, for tests");
MODULE_LICENSE("GPL");
