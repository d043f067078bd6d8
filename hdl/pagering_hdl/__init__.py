"""The card, in Amaranth. In the order of a frame's way through it:

=======================  =========================================================================
``frame_gate``           judges each frame as it streams in: whole and good, or dropped
                         (``size_bound``)
``packet_fifo``          keeps it until its memory is found; commit and rollback
``dissector``            takes it apart meanwhile: its headers, its checksums
``steering``             names its queue, or why it is dropped
``admission``            grants it memory by count, drops it or lets it wait (``admission_need``,
                         ``admission_rules``, ``admission_tables``; ``pacing``)
``segmenter``            cuts it at page boundaries
``segment_fork``         starts reading a segment and opening its page
``placer``               finds each segment's page, token and address
``page_opener``          takes pages off the ring ahead of their use
``recycle_ring``         the free pages of every pool
``region_table``         where pages are in DMA address space, and whose
``page_table``           who has each page; every change of hands
``placement_fork``       starts writing and waiting for a segment
``packet_reader``        reads the segment's beats; shifts a payload that began in mid-beat
``burst_splitter``       cuts writes into bursts (``burst_merger`` joins small ones, or
                         ``burst_fork`` sends them as they are)
``dma_writer``           puts them on the bus
``response_tracker``     waits for the bus to answer
``deliverer``            hands a written segment to the host
``completion_lines``     collects its completion with others (``completion_store``)
``flush_timer``          ends a line that does not fill
``line_announcer``       has them written
``line_reader``          reads them meanwhile
``interrupts``           tells the host
``return_rings``         knows which tokens wait in host memory (``ring_words``)
``return_reader``        fetches them
``return_arbiter``       lets fetched and written tokens take turns
``return_checker``       takes tokens back
=======================  =========================================================================

The dissector is made of ``frame_words`` (beats to words), ``link_parser`` (Ethernet),
``header_parser`` (IP and what it carries, in a ``header_step`` for each word), ``header_bounds``
(what of it is whole),
``checksummer``, and ``fact_finder``, which puts together what they found and shows what there is
to steer by before a frame has ended (``preview``).

Steering is made of ``flow_steps`` (the flow, word by word), ``frame_filter`` (addresses, VLANs),
``flow_rules`` (with ``rule_match`` and ``rule_writer``), ``toeplitz`` (with ``key_tables``),
``queue_choice``, ``tentative`` (a decision may come to nothing with its frame) and
``arrival_queue``; ``shared_table`` is what its lookups and the host share.
``plain_dissector`` and ``default_queue`` stand in for both on a card without them.

Beside it: ``register_window``, made of ``axi_lite`` (the bus), ``access_decoder`` with
``address_decoder`` (what is asked, and whether it may be), ``register_reader`` and
``register_memory`` (what the host has set, for it to read back); the ``*_registers`` of each block
(``register_port``; ``mirror_registers`` and ``return_ring_registers`` in those of pools and queues;
``queue_settings`` and ``setting_tables`` for all who need a setting);
``interrupts`` with ``queue_walk`` and ``moderation``; ``region_loader``,
``lifecycle`` and ``reset_control`` (start, drain, reset), ``pool_monitor``, ``pause``,
``clock``, ``count_mirror`` and ``oldest_pages`` (what the host can know of a pool cheaply; from
``stays``). The page table is made of ``page_entry`` (what an operation makes of a page) and
``page_counts``.
``statistics`` counts everything: ``stream_meter`` and ``queue_meter`` tell what
happens, ``event_tallies`` and ``frame_tallies`` note it (``tallies``), ``counter_sweep`` keeps
the counts, ``counter_registers`` show them.
``engine`` is made of assemblies, which have the parts and the wires to them: ``receive_path``,
``page_store``, ``write_path``, ``completion_path``, ``return_path``, ``pool_gauges``,
``card_control``, ``register_side`` and ``counting`` (``assembly``). ``top`` gives its ports their
names (``observed_top`` one more), ``generate`` writes Verilog. ``config`` says what a card is made
of, ``layouts`` what travels through it.
"""
